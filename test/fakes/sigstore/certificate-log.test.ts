import assert from 'node:assert/strict'
import { test } from 'node:test'
import { X509Certificate, ASN1Obj } from '@sigstore/core'
import { makeSigner } from '../../../fakes/signer.ts'
import { CertificateLog, sctExtension } from '../../../fakes/sigstore/certificate-log.ts'
import { issue } from '../../../fakes/sigstore/certificate.ts'

test('a timestamp names its log and time, and lies in the extension that readers look for', () => {
  const log = new CertificateLog('https://ct.example')
  const key = makeSigner()
  const at = Date.UTC(2026)
  const more = (tbs: Buffer) => [sctExtension([log.stamp(tbs, key, at), log.stamp(tbs, key, at, at + 1)])]
  const { der } = issue({ subject: { commonName: 'x' }, key, issuer: undefined, from: at, until: at, extensions: [], more })
  const found = new X509Certificate(ASN1Obj.parseBuffer(Buffer.from(der))).extSCT?.signedCertificateTimestamps ?? []
  assert.deepEqual(
    found.map((sct) => [sct.logID, sct.datetime.getTime()]),
    [
      [log.id, at],
      [log.id, at + 1],
    ],
  )
})
