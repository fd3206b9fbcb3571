import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AwsAccount } from '../../../fakes/cloud/aws.ts'
import type { Received } from '../../../fakes/internet.ts'

const asked: Received = { method: 'POST', host: 'h', path: '/', query: new URLSearchParams(), headers: {}, body: '{"KeyId":"x"}' }
const signed = (accessKey: string, scope: string) => ({
  'x-amz-target': 'TrentService.GetPublicKey',
  'x-amz-date': '20261123T080000Z',
  'authorization': `AWS4-HMAC-SHA256 Credential=${accessKey}/20261123/${scope}/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`,
})

test('what is not signed, or for another region or service, or with an unknown key, is refused', () => {
  const kms = new AwsAccount().kms('eu-west-1')
  assert.equal(kms(asked)?.status, 403)
  assert.equal(kms({ ...asked, headers: signed('AKIAEXAMPLE', 'us-east-1/kms') })?.status, 403)
  assert.equal(kms({ ...asked, headers: signed('AKIAEXAMPLE', 'eu-west-1/ecr') })?.status, 403)
  assert.match(JSON.stringify(kms({ ...asked, headers: signed('AKIAOTHER', 'eu-west-1/kms') })), /UnrecognizedClientException/)
  assert.match(JSON.stringify(kms({ ...asked, headers: signed('AKIAEXAMPLE', 'eu-west-1/kms') })), /NotFoundException/)
})
