import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { FakeRegistry } from '../fakes/registry.ts'
import { faults } from '../fakes/sigstore/fault.ts'
import { leftOutWithout, partsIfPresent } from './parts.ts'
import { Court, differenceOf, differences, isNoFault, shows, ways } from './verdicts.ts'
import type { Way } from './verdicts.ts'

const COSIGNS = ['cosign2', 'cosign3'] as const
const title = ({ form, by, log, timestamp }: Way): string =>
  `${form}, by ${by}, ${log === 'none' ? 'no log' : `Rekor ${log}`}${timestamp ? ', timestamp' : ''}`

suite('images and statements are judged as cosign 2.6.5 and 3.1.3 judge them', { skip: leftOutWithout(COSIGNS) }, () => {
  let registry: FakeRegistry
  let court: Court
  before(async () => {
    registry = await FakeRegistry.start()
    court = new Court(partsIfPresent(COSIGNS) ?? assert.fail('a cosign has gone'), registry)
  })
  after(() => registry.close())

  for (const way of ways)
    for (const makes of [undefined, 'statement'] as const)
      test(`sound: ${makes ?? 'image'}, ${title(way)}: accepted by all`, async () => {
        const row = faults.find(({ needs }) => needs.makes === makes) ?? assert.fail('no such fault')
        assert.deepEqual(await court.hear(row, way, true), { here: undefined, cosign2: undefined, cosign3: undefined })
      })

  for (const row of faults)
    for (const way of ways.filter((one) => shows(row, one)))
      test(`${row.fault}: ${title(way)}`, async () => {
        const verdicts = await court.hear(row, way, false)
        const isNone = isNoFault(row, way)
        const difference = differenceOf(row, way)
        assert.equal(verdicts.here === undefined, isNone, verdicts.here ?? 'accepted')
        for (const cosign of COSIGNS) {
          const isAccepted = isNone || (difference?.accepting.includes(cosign) ?? false)
          assert.equal(verdicts[cosign] === undefined, isAccepted, `${cosign}: ${verdicts[cosign] ?? 'accepted'}`)
        }
      })

  test('entries of the kind dsse 0.0.2 are read here and by cosign 2; cosign 3 no longer knows them', async () => {
    const row = faults.find(({ fault }) => fault === 'image-other') ?? assert.fail('no such fault')
    const way: Way = { form: 'bundle', by: 'certificate', log: 'v2', timestamp: true }
    const { cosign3, ...others } = await court.hear(row, way, true, { entry: 'dsse 0.0.2' })
    assert.deepEqual(others, { here: undefined, cosign2: undefined })
    assert.ok(cosign3)
  })

  test('no difference is listed that cannot show', () => {
    for (const difference of differences)
      assert.ok(
        faults.some((row) => ways.some((way) => shows(row, way) && differenceOf(row, way) === difference)),
        difference.fault,
      )
  })
})
