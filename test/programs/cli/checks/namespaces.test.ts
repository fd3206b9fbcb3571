import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { isSelected, namespaces } from '../../../../programs/cli/checks/namespaces.ts'
import { changed, sound, ward } from './ward.ts'

const label = (name: string, value: string | undefined) => (objects: ReturnType<typeof sound>) =>
  objects.set(`Namespace ${name}`, changed(objects.get(`Namespace ${name}`), ['metadata', 'labels', 'policy.sigstore.dev/include'], value))

test('the namespaces that are checked are named', async (t) =>
  deepEqual(await (await ward(t)).found(namespaces), ['ok: 1 namespace is checked: shop']))

test('none is a warning: nothing is refused', async (t) =>
  deepEqual(await (await ward(t, label('shop', undefined)(sound()))).found(namespaces), [
    'warning: no namespace is checked, so nothing is refused',
  ]))

test('the own namespace must not be among them', async (t) =>
  deepEqual(
    (await (await ward(t, label('cosign-system', 'true')(sound()))).found(namespaces))[0],
    'wrong: cosign-system, where the controller runs, is checked by it: when no replica runs, none can start',
  ))

test('what the cluster itself needs is better not among them', async (t) =>
  deepEqual(
    (await (await ward(t, label('kube-system', 'true')(sound()))).found(namespaces))[0],
    'warning: kube-system is checked: what the cluster itself needs may not start while no replica runs',
  ))

for (const [what, selector, labels, selected] of [
  ['an empty selector', {}, {}, true],
  ['no selector', undefined, {}, true],
  ['matchLabels that hold', { matchLabels: { a: 'b' } }, { a: 'b', c: 'd' }, true],
  ['matchLabels that do not', { matchLabels: { a: 'b' } }, { a: 'c' }, false],
  ['In', { matchExpressions: [{ key: 'a', operator: 'In', values: ['b', 'c'] }] }, { a: 'c' }, true],
  ['In without the label', { matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }] }, {}, false],
  ['NotIn without the label', { matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['b'] }] }, {}, true],
  ['NotIn', { matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['b'] }] }, { a: 'b' }, false],
  ['Exists', { matchExpressions: [{ key: 'a', operator: 'Exists' }] }, { a: '' }, true],
  ['DoesNotExist', { matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, { a: '' }, false],
  ['an operator that there is not', { matchExpressions: [{ key: 'a', operator: 'Like' }] }, { a: '' }, false],
] as const)
  test(`${what} selects ${selected ? 'it' : 'it not'}`, () => equal(isSelected(selector, labels), selected))
