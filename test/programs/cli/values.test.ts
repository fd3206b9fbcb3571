import { deepEqual, equal, match } from 'node:assert/strict'
import { test } from 'node:test'
import type { Value } from '../../../programs/cli/values.ts'
import { duration, instant, mirror, oneOf, port, registryHost, repositoryUrl, text, toggle } from '../../../programs/cli/values.ts'

const ghcr = { host: 'ghcr.io', url: 'http://127.0.0.1:5000', credentials: false }

for (const [what, value, given, taken] of [
  ['a port', port, '8443', 8443],
  ['any free port', port, '0', 0],
  ['a switch', toggle, 'T', true],
  ['a switch that is off', toggle, '0', false],
  ['a duration', duration, '1m', 60_000],
  ['a word of several', oneOf('json', 'text'), 'text', 'text'],
  ['an instant', instant, '2026-01-31T12:00:00+01:00', new Date('2026-01-31T11:00:00Z')],
  ['an instant in small letters', instant, '2026-01-31t12:00:00z', new Date('2026-01-31T12:00:00Z')],
  ['a host', registryHost, 'Registry.local:5000', 'registry.local:5000'],
  ['an IPv6 host', registryHost, '[::1]:5000', '[::1]:5000'],
  ['another spelling of a host', registryHost, 'Registry.local.:443', 'registry.local'],
  ['a host of one label', registryHost, 'localhost', 'localhost:443'],
  ['another name of Docker Hub', registryHost, 'docker.io', 'index.docker.io'],
  ['a TUF repository', repositoryUrl, 'http://tuf.example/v1/', new URL('http://tuf.example/v1/')],
  ['a mirror', mirror, 'ghcr.io=http://127.0.0.1:5000', ghcr],
  ['a mirror that is given credentials', mirror, 'ghcr.io=http://127.0.0.1:5000/,credentials', { ...ghcr, credentials: true }],
  ['a mirror of another spelling', mirror, 'GHCR.io:443=http://127.0.0.1:5000', ghcr],
  ['a mirror of Docker Hub', mirror, 'registry-1.docker.io=http://127.0.0.1:5000', { ...ghcr, host: 'index.docker.io' }],
  [
    'a mirror below a path',
    mirror,
    'ghcr.io=https://harbor.local/proxy',
    { host: 'ghcr.io', url: 'https://harbor.local/proxy', credentials: false },
  ],
] as const)
  test(`${what}: ${given}`, () => deepEqual(value.read(given), { ok: true, value: taken }))

const refused: readonly (readonly [string, Value<unknown>, string, RegExp])[] = [
  ['a port above 65535', port, '70000', /not a port: `70000`/],
  ['a negative port', port, '-1', /not a port/],
  ['a port that is a name', port, 'https', /not a port/],
  ['an empty text', text('FILE'), '', /must not be empty/],
  ['another word', oneOf('json', 'text'), 'xml', /must be one of json, text: `xml`/],
  ['a local time', instant, '2026-01-31T12:00:00', /not an instant such as/],
  ['a day that does not exist', instant, '2026-13-31T12:00:00Z', /not an instant/],
  ['a host with a scheme', registryHost, 'https://ghcr.io', /without scheme and path/],
  ['a host with a path', registryHost, 'ghcr.io/acme', /without scheme and path/],
  ['brackets around no address', registryHost, '[ghcr.io]', /without scheme and path/],
  ['a host with port 0', registryHost, 'ghcr.io:0', /must be a registry's host or host:port/],
  ['a host that is no registry', registryHost, '127.1', /must be a registry's host or host:port/],
  ['a TUF repository of another scheme', repositoryUrl, 'file:///tuf', /must be an http or https URL: `file:\/\/\/tuf`/],
  ['a TUF repository with a query', repositoryUrl, 'https://tuf.example/?a=b', /must hold no user name, password, query or fragment/],
  ['a mirror without URL', mirror, 'ghcr.io', /must be HOST=URL/],
  ['a mirror of another scheme', mirror, 'ghcr.io=ftp://x', /must be an http or https URL/],
  ['a mirror with a misspelt suffix', mirror, 'ghcr.io=http://x,credential', /ends with its path/],
  ['a mirror with a query', mirror, 'ghcr.io=http://x/?a=b', /ends with its path/],
  ['a line break', port, '1\n2', /`1\\n2`/],
]
for (const [what, value, given, why] of refused)
  test(`${what} is refused`, () => {
    const taken = value.read(given)
    match(taken.ok ? 'taken' : taken.text, why)
  })

test('a password in the URL of a TUF repository is refused without being repeated', () => {
  const taken = repositoryUrl.read('https://me:hunter2@tuf.example')
  equal(!taken.ok && taken.text.includes('hunter2'), false)
})

test('a password in the URL of a mirror is refused without being repeated', () => {
  const taken = mirror.read('ghcr.io=https://me:hunter2@harbor.local')
  equal(!taken.ok && taken.text, 'the URL of a mirror must not hold a user name or password')
})
