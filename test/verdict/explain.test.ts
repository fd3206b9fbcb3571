import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Decision } from '../../src/verdict/decision.ts'
import { allOf, anyOf, because } from '../../src/verdict/decision.ts'
import { coloured, explain, explained } from '../../src/verdict/explain.ts'
import type { Reason } from '../../src/verdict/reason.ts'

const none: Reason = { code: 'no-matching-policies' }
const invalid: Reason = { code: 'signature-invalid', detail: 'invalid signature when validating ASN.1 encoded signature' }
const manifest = `sha256:${'b'.repeat(64)}`

function signature(layer: number, reason: Reason): Decision {
  return anyOf(
    { about: 'signature', form: 'annotations', manifest, layer },
    [because({ about: 'check', check: 'the key 0123 signed this digest' }, reason)],
    none,
  )
}

const image = allOf(
  { about: 'image', written: 'r.example/app:v1', paths: ['spec.containers[0].image', 'spec.initContainers[0].image'] },
  [
    anyOf(
      { about: 'policy', name: 'signed', mode: 'enforce' },
      [
        anyOf(
          { about: 'authority', name: 'release', by: 'key', image: 'r.example/app@sha256:aa' },
          [
            anyOf({ about: 'lookup', place: 'tag', where: 'r.example/app' }, [signature(0, invalid), signature(1, invalid)], none),
            because(
              { about: 'lookup', place: 'referrers', where: 'r.example/app' },
              { code: 'registry-failed', text: 'GET https://r.example/v2/: \u001b[2Jgone' },
            ),
          ],
          none,
        ),
        because(
          { about: 'authority', name: 'never', by: 'static', image: 'r.example/app@sha256:aa' },
          { code: 'static-fail', message: 'so it is' },
        ),
      ],
      none,
    ),
    anyOf(
      { about: 'policy', name: 'known', mode: 'warn' },
      [because({ about: 'authority', name: 'a', by: 'static', image: 'r.example/app@sha256:aa' }, { code: 'static-pass' })],
      none,
    ),
  ],
  none,
)

test('a tree is explained line by line: outcome, question, what was found, what to do, the same advice once', () => {
  assert.equal(
    explain(image),
    `unknown image r.example/app:v1 at spec.containers[0].image, spec.initContainers[0].image: each of these must pass
unknown   policy signed: any of these suffices
unknown     authority release (key): any of these suffices
fail          signatures by tag in r.example/app: any of these suffices
fail            signature in layer 0 of ${manifest}
fail              the key 0123 signed this digest: invalid signature when validating ASN.1 encoded signature
                    → the signature was made with another key or over other bytes: compare the key of the policy with the key that signs, and hashAlgorithm with its digest (cosign signs with SHA-384 when the key is P-384, SHA-512 when it is P-521)
fail            signature in layer 1 of ${manifest}
fail              the key 0123 signed this digest: invalid signature when validating ASN.1 encoded signature
unknown       signatures among the referrers in r.example/app: GET https://r.example/v2/: \ufffd[2Jgone
                → this is not about the signature: check that the registry answers and that credentials for it exist, then try again
fail        authority never (static): disallowed by static policy: so it is
              → the policy refuses this image whatever is signed
pass      policy known, which only warns
pass        authority a (static): allowed by static policy
`,
  )
})

test('a sentence of several lines stays below its question', () => {
  const leaf = because({ about: 'check', check: 'it holds' }, { code: 'registry-failed', text: 'one\n two' })
  assert.match(explain(leaf), /^unknown it holds: one\n {10}two\n {10}→ /)
})

test('colours surround outcomes and advice, and change nothing else', () => {
  const text = explain(image, coloured)
  assert.ok(text.includes('\u001b[31mfail    \u001b[0m'))
  assert.equal(text.replaceAll(/\u001b\[\d+m/g, ''), explain(image))
})

test('as data, each reason carries its sentence and its hint', () => {
  const { reason } = explained(because({ about: 'check', check: 'it holds' }, invalid))
  assert.deepEqual([reason?.code, reason?.sentence, reason?.hint.slice(0, 13)], ['signature-invalid', invalid.detail, 'the signature'])
  assert.equal(explained(image).parts[0]?.parts[1]?.reason?.sentence, 'disallowed by static policy: so it is')
})

test('what a specified sentence leaves out is told behind it', () => {
  const reason = { code: 'leaf-certificate-untrusted', detail: 'x509: it is over' } as const
  assert.match(
    explain(because({ about: 'check', check: 'it holds' }, reason)),
    /^fail {4}it holds: failed to verify leaf certificate: leaf certificate verification failed: x509: it is over\n/,
  )
})
