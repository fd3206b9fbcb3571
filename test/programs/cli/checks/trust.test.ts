import { deepEqual, equal, match } from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Sigstore } from '../../../../fakes/sigstore/sigstore.ts'
import { trustedRootTarget, TufRepository } from '../../../../fakes/sigstore/tuf.ts'
import { trust } from '../../../../programs/cli/checks/trust.ts'
import { nothingFetched } from '../../../../src/policy/objects.ts'
import { publicRoot, publicRootExpires } from '../../../../src/trust/public-root.ts'
import { sound, ward } from './ward.ts'

const keyless = (trustRootRef?: string) => ({
  policies: new Map([
    [
      'p',
      {
        metadata: { name: 'p' },
        spec: {
          images: [{ glob: '**' }],
          authorities: [
            { keyless: { url: 'https://fulcio.example', trustRootRef, identities: [{ issuer: 'https://i.example', subject: 's' }] } },
          ],
        },
      },
    ],
  ]),
})
const NOWHERE = '--tuf-mirror=http://127.0.0.1:1'

test('with TUF switched off it says until when what is embedded is in force', async (t) => {
  const one = await ward(t, sound(), keyless(), ['--disable-tuf'])
  one.patient = { ...one.patient, now: new Date(publicRootExpires - 30 * 24 * 60 * 60 * 1000) }
  match(
    (await one.found(trust))[0] ?? '',
    /^note: TUF is switched off: what is embedded of the public Sigstore instance is in force until \d{4}-/,
  )
  one.patient = { ...one.patient, now: new Date(publicRootExpires - 60_000) }
  match((await one.found(trust))[0] ?? '', /^warning: /)
})

test('a TUF repository that cannot be reached is a warning while what is embedded is in force, then wrong', async (t) => {
  const one = await ward(t, sound(), keyless(), [NOWHERE])
  one.patient = { ...one.patient, now: new Date(publicRootExpires - 60_000) }
  match(
    (await one.found(trust))[0] ?? '',
    /^warning: .* could not be fetched: .*; what is embedded of the public Sigstore instance is in force until /,
  )
  one.patient = { ...one.patient, now: new Date(publicRootExpires + 60_000) }
  match((await one.found(trust))[0] ?? '', /^wrong: .* could not be fetched, and nothing else is trusted where no TrustRoot is named: /)
})

test('where policies need no Sigstore instance none is asked', async (t) => {
  const one = await ward(t, sound(), keyless('mine'), [NOWHERE])
  deepEqual(await one.found(trust), [])
})

test('each TrustRoot is told, as it was fetched', async (t) => {
  const trustRoots = new Map([
    ['mine', {}],
    ['other', {}],
  ])
  const one = await ward(t, sound(), { ...keyless('mine'), trustRoots })
  const outside = (read: ReturnType<typeof nothingFetched>['publicRoot']) => ({
    ...nothingFetched(),
    trustRoots: new Map([['mine', read]]),
  })
  const material = { ...publicRoot(), until: undefined }
  one.patient = { ...one.patient, outside: outside({ ok: true, value: material }) }
  deepEqual(await one.found(trust), ['ok: TrustRoot mine', 'note: TrustRoot other: no policy names it'])
  one.patient = { ...one.patient, outside: outside({ ok: true, value: { ...material, until: one.patient.now.getTime() + 60_000 } }) }
  match((await one.found(trust))[0] ?? '', /^warning: TrustRoot mine ends soon, until /)
  one.patient = { ...one.patient, outside: outside({ ok: false, reason: { code: 'trust-root-not-fetched', name: 'mine' } }) }
  equal((await trust.run(one.patient))[0]?.level, 'wrong')
})

test('a TUF repository that answers is up to date, and says until when', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sealgate-doctor-'))
  const repository = new TufRepository({ now: Date.now(), targets: trustedRootTarget(await Sigstore.create()) })
  const server = await repository.serve()
  t.after(() => Promise.all([server.close(), rm(folder, { recursive: true, force: true })]))
  await writeFile(join(folder, 'root.json'), repository.root())
  const one = await ward(t, sound(), keyless(), [`--tuf-mirror=${server.url}`, `--tuf-root=${join(folder, 'root.json')}`])
  match((await one.found(trust))[0] ?? '', /^ok: .* is up to date, until \d{4}-/)
})
