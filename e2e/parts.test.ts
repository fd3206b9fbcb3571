import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { must, run, temporaryFolder } from './processes.ts'

const script = fileURLToPath(new URL('./parts.ts', import.meta.url))
const list = (env: NodeJS.ProcessEnv, ...arguments_: string[]) => must(process.execPath, [script, ...arguments_], { env })

test('parts are taken from KUBEBUILDER_ASSETS first', async () => {
  const assets = temporaryFolder('assets')
  for (const name of ['etcd', 'kube-apiserver']) writeFileSync(join(assets, name), '#!/bin/sh\n', { mode: 0o755 })
  writeFileSync(join(assets, 'kubectl'), 'not a program', { mode: 0o644 })
  const listed = await list({ KUBEBUILDER_ASSETS: assets, SEALGATE_PARTS: join(assets, 'empty') }, '--list')
  assert.match(listed, new RegExp(`^etcd v[0-9.]+: ${RegExp.escape(join(assets, 'etcd'))}$`, 'm'))
  assert.match(listed, new RegExp(`^kube-apiserver v[0-9.]+: ${RegExp.escape(join(assets, 'kube-apiserver'))}$`, 'm'))
  assert.match(listed, /^kubectl v[0-9.]+: missing$/m)
})

test('a part of another version in the cache does not count', async () => {
  const cache = temporaryFolder('parts')
  mkdirSync(join(cache, 'cosign3-v3.0.0'))
  writeFileSync(join(cache, 'cosign3-v3.0.0', 'cosign'), '#!/bin/sh\n', { mode: 0o755 })
  assert.match(await list({ SEALGATE_PARTS: cache }, '--list'), /^cosign3 v[0-9.]+: missing$/m)
})

test('without Go, what is missing and what to do are said', async () => {
  const said = await run(process.execPath, [script], { env: { PATH: temporaryFolder('path'), SEALGATE_PARTS: temporaryFolder('parts') } })
  assert.notEqual(said.code, 0)
  assert.match(
    said.stderr,
    /kube-apiserver, etcd, .*: not there, and no Go on the PATH to build them with; install Go, or set KUBEBUILDER_ASSETS/,
  )
})
