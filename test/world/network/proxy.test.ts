import assert from 'node:assert/strict'
import { test } from 'node:test'
import { proxyFor, proxySettings } from '../../../src/world/network/proxy.ts'

const through = (env: Record<string, string>, target: string): string | undefined => {
  const settings = proxySettings(env)
  assert.ok(!('error' in settings))
  return proxyFor(settings, new URL(target))?.href
}
const both = { HTTP_PROXY: 'http://plain:3128', HTTPS_PROXY: 'http://secure:3128' }

test('https targets go through HTTPS_PROXY, http ones through HTTP_PROXY, and without either directly', () => {
  assert.equal(through(both, 'https://ghcr.io/v2/'), 'http://secure:3128/')
  assert.equal(through(both, 'http://registry.local/v2/'), 'http://plain:3128/')
  assert.equal(through({ HTTPS_PROXY: 'http://secure:3128' }, 'http://registry.local/v2/'), undefined)
  assert.equal(through({}, 'https://ghcr.io/v2/'), undefined)
})

test('lower-case variables count when the upper-case one is empty; a scheme may be left out', () => {
  assert.equal(through({ https_proxy: 'proxy:8080' }, 'https://ghcr.io/'), 'http://proxy:8080/')
  assert.equal(through({ HTTPS_PROXY: 'http://a:1', https_proxy: 'http://b:1' }, 'https://ghcr.io/'), 'http://a:1/')
})

test('loopback is never asked through a proxy', () => {
  for (const target of ['http://localhost:5000/', 'http://127.0.0.1/', 'https://[::1]:5000/'])
    assert.equal(through(both, target), undefined)
})

test('a proxy that is not a URL is an error that does not show its value', () => {
  assert.deepEqual(proxySettings({ HTTPS_PROXY: 'ftp://user:secret@x' }), {
    error: 'HTTPS_PROXY is not the URL of a proxy (http://, https:// or socks5://)',
  })
})

for (const [noProxy, target, direct] of [
  ['*', 'https://ghcr.io/', true],
  ['example.com', 'https://example.com/', true],
  ['example.com', 'https://r.example.com/', true],
  ['example.com', 'https://notexample.com/', false],
  ['.example.com', 'https://example.com/', false],
  ['.example.com', 'https://r.example.com/', true],
  ['*.example.com', 'https://r.example.com/', true],
  ['*.example.com', 'https://example.com/', false],
  ['EXAMPLE.com', 'https://Example.COM/', true],
  ['example.com:5000', 'https://example.com:5000/', true],
  ['example.com:5000', 'https://example.com/', false],
  ['example.com:443', 'https://example.com/', true],
  ['10.0.0.0/8', 'https://10.1.2.3/', true],
  ['10.0.0.0/8', 'https://11.1.2.3/', false],
  ['10.0.0.0/33', 'https://10.1.2.3/', false],
  ['fd00::/8', 'https://[fd12::1]:5000/', true],
  ['10.1.2.3', 'https://10.1.2.3:5000/', true],
  ['10.1.2.3:80', 'https://10.1.2.3/', false],
  ['[2001:db8::1]:5000', 'https://[2001:db8::1]:5000/', true],
  ['2001:db8::1', 'https://[2001:db8::1]/', true],
  [' , ghcr.io ,', 'https://ghcr.io/', true],
  [':5000', 'https://ghcr.io:5000/', false],
] as const)
  test(`NO_PROXY=${noProxy}: ${target} is asked ${direct ? 'directly' : 'through the proxy'}`, () =>
    assert.equal(through({ ...both, NO_PROXY: noProxy }, target), direct ? undefined : 'http://secure:3128/'))
