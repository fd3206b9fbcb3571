import assert from 'node:assert/strict'
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { certificatesIn, systemRoots } from '../../../src/world/network/system-roots.ts'

const [a = '', b = '', c = ''] = rootCertificates
const folder = mkdtempSync(join(tmpdir(), 'roots-'))
const second = mkdtempSync(join(tmpdir(), 'roots-'))
const bundle = join(folder, 'bundle.pem')
writeFileSync(bundle, `# a comment\n${a}\n${b}\n`)
writeFileSync(join(second, 'c.pem'), c)
symlinkSync('c.pem', join(second, '4042bcee.0'))

test('SSL_CERT_FILE replaces the files of the system', () => {
  assert.deepEqual(systemRoots({ SSL_CERT_FILE: bundle, SSL_CERT_DIR: '/nowhere' }), [a, b])
})

test('SSL_CERT_DIR is a list of folders; one that is missing does no harm', () => {
  assert.deepEqual(systemRoots({ SSL_CERT_FILE: bundle, SSL_CERT_DIR: `/nowhere:${second}` }), [a, b, c])
})

test('a file that is named but unreadable leaves no certificate trusted in its place', () => {
  assert.deepEqual(systemRoots({ SSL_CERT_FILE: '/nowhere/x.pem', SSL_CERT_DIR: '/nowhere' }), [])
})

test('without either the system has some', () => {
  assert.ok(systemRoots({}).length > 0)
})

test('a PEM text is read as its certificates, each once', () => {
  assert.deepEqual(certificatesIn(`${a}\n${a}\n-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n${b}`), [a, b])
})
