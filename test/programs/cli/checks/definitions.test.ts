import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { definitions } from '../../../../programs/cli/checks/definitions.ts'
import { changed, sound, ward } from './ward.ts'

const POLICIES = 'clusterimagepolicies.policy.sigstore.dev'
const KEY = `CustomResourceDefinition ${POLICIES}`

test('both definitions serve what policies are written in', async (t) =>
  deepEqual(await (await ward(t)).found(definitions), [
    `ok: ${POLICIES} serves v1alpha1 and v1beta1`,
    'ok: trustroots.policy.sigstore.dev serves v1alpha1',
  ]))

for (const [what, path, value, finding] of [
  ['is missing', undefined, undefined, `wrong: ${POLICIES} is missing`],
  [
    'is being deleted',
    ['metadata', 'deletionTimestamp'],
    '2026-01-01T00:00:00Z',
    `wrong: ${POLICIES} is being deleted, and everything of its kind with it`,
  ],
  [
    'is not established',
    ['status', 'conditions'],
    [{ type: 'Established', status: 'False', message: 'the names are taken' }],
    `wrong: ${POLICIES} is not established: the names are taken`,
  ],
  ['lacks a version', ['spec', 'versions', 1, 'served'], false, `wrong: ${POLICIES} does not serve v1beta1`],
  [
    'stores another version',
    ['spec', 'versions', 0, 'storage'],
    false,
    `warning: ${POLICIES} stores undefined instead of v1alpha1, so other controllers may not read it`,
  ],
] as const)
  test(`a definition that ${what} is told`, async (t) => {
    const objects = sound()
    if (path) objects.set(KEY, changed(objects.get(KEY), path, value))
    else objects.delete(KEY)
    deepEqual((await (await ward(t, objects)).found(definitions))[0], finding)
  })

test('without a conversion webhook the API server converts by itself', async (t) => {
  const objects = sound()
  objects.set(KEY, changed(objects.get(KEY), ['spec', 'conversion'], { strategy: 'None' }))
  deepEqual(
    (await (await ward(t, objects)).found(definitions))[1],
    'note: the API server converts policies by itself: both versions say the same',
  )
})
