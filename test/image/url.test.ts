import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isRequestUri, readUrl } from '../../src/image/url.ts'

// The words are those of Go's net/url.
for (const [text, detail] of [
  ['::bad::', 'missing protocol scheme'],
  [':', 'missing protocol scheme'],
  ['a b:c', 'first path segment in URL cannot contain colon'],
  ['1a:b', 'first path segment in URL cannot contain colon'],
  ['https://a b/', 'invalid character " " in host name'],
  ['https://a\\b/', 'invalid character "\\\\" in host name'],
  ['https://a:b/', 'invalid port ":b" after host'],
  ['https://[::1/', "missing ']' in host"],
  ['https://[::1]x/', 'invalid port "x" after host'],
  ['https://a/%zz', 'invalid URL escape "%zz"'],
  ['https://a/%4', 'invalid URL escape "%4"'],
  ['https://%41/', 'invalid URL escape "%41"'],
  ['https://a b@c/', 'net/url: invalid userinfo'],
  ['https://a\u007f/', 'net/url: invalid control character in URL'],
] as const) {
  test(`${JSON.stringify(text)} is no URL: ${detail}`, () => {
    const read = readUrl(text)
    assert.ok(!read.ok)
    assert.ok(read.detail.startsWith('parse "') && read.detail.endsWith(`": ${detail}`), read.detail)
  })
}

test('the text of an error names what was parsed, quoted, without its fragment', () => {
  assert.deepEqual(readUrl('::x#y'), { ok: false, detail: 'parse "::x": missing protocol scheme' })
  assert.deepEqual(readUrl('a#%zz'), { ok: false, detail: 'parse "a#%zz": invalid URL escape "%zz"' })
})

for (const [text, scheme, host, written = text] of [
  ['', '', ''],
  ['https://fulcio.sigstore.dev', 'https', 'fulcio.sigstore.dev'],
  ['HTTPS://Fulcio.Local/A', 'https', 'Fulcio.Local', 'https://Fulcio.Local/A'],
  ['https://user:p@a.b:8443/x?q=1#f', 'https', 'a.b:8443'],
  ['//registry:5000', '', 'registry:5000'],
  ['https:', 'https', ''],
  ['//https:', '', 'https:'],
  ['urn:x:y', 'urn', ''],
  ['https://', 'https', '', 'https:'],
  ['https://?a', 'https', '', 'https:?a'],
  ['https://é.de:1/', 'https', 'é.de:1', 'https://%C3%A9.de:1/'],
  ['a/b c', '', '', 'a/b%20c'],
  ['a/%41 *', '', '', 'a/A%20%2A'],
  ['a#%41 *?', '', '', 'a#A%20*?'],
  ['https://a/é', 'https', 'a', 'https://a/%C3%A9'],
  ['https://[::1]:1/x', 'https', '[::1]:1'],
  ['https://[fe80::1%25en0]/', 'https', '[fe80::1%25en0]'],
  ['*', '', ''],
  ['a?', '', ''],
] as const) {
  test(`${JSON.stringify(text)} is a URL with scheme «${scheme}» and host «${host}»`, () => {
    assert.deepEqual(readUrl(text), { ok: true, url: { scheme, host, text: written } })
  })
}

for (const [text, is] of [
  ['https://slsa.dev/provenance/v1', true],
  ['urn:x:y', true],
  ['/abs', true],
  ['*', true],
  ['custom', false],
  ['a/b', false],
  ['', false],
  ['https://a b', false],
] as const)
  test(`${JSON.stringify(text)} ${is ? 'may' : 'may not'} stand in a request line`, () => assert.equal(isRequestUri(text), is))

test('any text is a URL or refused with a reason, and a URL reads as itself again', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl(), fc.stringMatching(/^[a-z:/@?#%[\]]*$/)), (text) => {
      const read = readUrl(text)
      if (!read.ok) return assert.match(read.detail, /^parse "/)
      const again = readUrl(read.url.text)
      assert.ok(again.ok && again.url.text === read.url.text && again.url.host === read.url.host)
    }),
  )
})
