import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import type { Place } from '../../../programs/demo/page.ts'
import { answered, heading, launcherFrom, whatNext } from '../../../programs/demo/page.ts'

const root = join(import.meta.dirname, '../../..')
const place: Place = {
  folder: '/tmp/sealgate-demo-abcdef',
  webhook: 'https://127.0.0.1:8443',
  metrics: 'http://127.0.0.1:9090',
  registry: 'http://127.0.0.1:45537',
  mirrors: [{ host: 'gcr.io', url: 'http://127.0.0.1:45537/gcr.io', credentials: false }],
  caFile: '/tmp/sealgate-demo-abcdef/tls/ca.crt',
  launcher: 'bin/sealgate',
  taken: { webhook: undefined, metrics: undefined },
  isProxied: false,
}
const page = (changed: Partial<Place> = {}): string => stripVTControlCharacters(whatNext({ ...place, ...changed }))

test('an answer stands below its command, as kubectl prints it', () => {
  const text = answered({ name: 'app', image: 'app:v1', about: 'signed' }, ['Warning: w', 'pod/app created (server dry run)'])
  assert.equal(
    stripVTControlCharacters(text),
    '# signed\n$ kubectl run app --image=app:v1 --dry-run=server\nWarning: w\npod/app created (server dry run)\n\n',
  )
})

test('no line is wider than 100 columns', () => {
  for (const line of `${stripVTControlCharacters(heading())}${page()}`.split('\n')) assert.ok(line.length <= 100, line)
})

test('a port that is taken is said beside the one that is used instead', () => {
  assert.ok(!page().includes('taken'))
  assert.match(page({ taken: { webhook: 8443, metrics: undefined } }), /^webhook .*\(8443 is taken\)$/m)
  assert.match(page({ taken: { webhook: undefined, metrics: 9090 } }), /^metrics .*\(9090 is taken\)$/m)
})

test('a path with spaces and quotes is one word of a command', () => {
  const folder = "/tmp/it's here"
  const sed = /^sed [^']*'[^']*' \\\n {2}(.*)$/m.exec(page({ folder }))?.[1] ?? ''
  assert.equal(execFileSync('sh', ['-c', `printf %s ${sed}`], { encoding: 'utf8' }), `${folder}/policies/image-policy.yaml`)
})

test('a certificate that was given is not compared with a CA that there is not', () => {
  assert.ok(page({ caFile: undefined }).includes("curl -s -w '\\n' --insecure"))
})

test('where the environment names a proxy, curl is told to do without', () => {
  assert.ok(!page().includes('--noproxy'))
  assert.equal(page({ isProxied: true }).match(/curl -s --noproxy '\*'/g)?.length, 3)
})

test('the command line is called from the folder where a person is', () => {
  assert.equal(launcherFrom(root), 'bin/sealgate')
  assert.equal(launcherFrom(join(root, 'bin')), './sealgate')
  assert.equal(launcherFrom(join(root, '..')).endsWith('/bin/sealgate'), true)
  assert.match(launcherFrom('/nowhere'), /^'?\/.*\/bin\/sealgate'?$/)
})

test('colours are for terminals, and not where NO_COLOR asks for none', () => {
  const printed = (environment: Readonly<Record<string, string>>): string =>
    execFileSync(process.execPath, ['-e', "import('./programs/demo/page.ts').then((page) => process.stdout.write(page.heading()))"], {
      cwd: root,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ...environment },
    })
  assert.equal(printed({}), stripVTControlCharacters(printed({})))
  assert.equal(printed({ NO_COLOR: '1' }), printed({}))
})
