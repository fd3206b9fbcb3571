import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GoogleProject } from '../../../fakes/cloud/google.ts'
import type { Received } from '../../../fakes/internet.ts'

const asked: Received = {
  method: 'GET',
  host: 'h',
  path: '/v1/a/cryptoKeyVersions/1/publicKey',
  query: new URLSearchParams(),
  headers: {},
  body: '',
}

test('Cloud KMS wants a token that was given out, for a scope that reaches it', () => {
  const project = new GoogleProject()
  project.tokens
    .set('narrow', 'https://www.googleapis.com/auth/devstorage.read_only')
    .set('wide', 'https://www.googleapis.com/auth/cloudkms')
  const status = (token: string) => project.kms()({ ...asked, headers: { authorization: `Bearer ${token}` } })?.status
  assert.deepEqual([status('none'), status('narrow'), status('wide')], [401, 403, 404])
})

test('the metadata service wants to be asked by who knows it', () => {
  assert.equal(
    new GoogleProject().metadata()({ ...asked, path: '/computeMetadata/v1/instance/service-accounts/default/token' })?.status,
    403,
  )
})
