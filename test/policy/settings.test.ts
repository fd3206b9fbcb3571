import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultSettings, readSettings, settingRows } from '../../src/policy/settings.ts'

for (const [key, value, field, wanted] of [
  ['no-match-policy', 'warn', 'noMatchPolicy', 'warn'],
  ['no-match-policy', 'allow', 'noMatchPolicy', 'allow'],
  ['no-match-policy', 'anything else', 'noMatchPolicy', 'deny'],
  ['fail-on-empty-authorities', 'false', 'failOnEmptyAuthorities', false],
  ['fail-on-empty-authorities', 'T', 'failOnEmptyAuthorities', true],
  ['enable-oci11', '1', 'enableOci11', true],
  ['tag-resolution', 'digest-only', 'tagResolution', 'digest-only'],
  ['tag-resolution-for', 'pods', 'tagResolutionFor', 'pods'],
  ['without-policies', 'no-match-policy', 'withoutPolicies', 'no-match-policy'],
  ['keyless', 'disabled', 'keyless', 'disabled'],
  ['recheck-unchanged', 'false', 'recheckUnchanged', false],
  ['remember-passes', '0', 'rememberPasses', 0],
  ['remember-passes', '1m30s', 'rememberPasses', 90_000],
  ['remember-tags', '500ms', 'rememberTags', 500],
] as const) {
  test(`${key}: ${value} means ${wanted}`, () => {
    const { settings, problems } = readSettings({ [key]: value }, defaultSettings)
    assert.equal(settings[field], wanted)
    assert.deepEqual(problems, [])
  })
}

for (const [key, bad] of [
  ['fail-on-empty-authorities', 'yes'],
  ['enable-oci11', ''],
  ['tag-resolution', 'never'],
  ['tag-resolution-for', 'templates'],
  ['without-policies', 'allow'],
  ['keyless', 'false'],
  ['recheck-unchanged', 'never'],
  ['remember-passes', '2h'],
  ['remember-passes', '-5m'],
  ['remember-passes', 'soon'],
  ['remember-tags', '5'],
] as const) {
  test(`${key}: ${bad || 'empty'} is reported and what was in force before stays`, () => {
    const before = {
      ...defaultSettings,
      enableOci11: true,
      tagResolution: 'digest-only',
      keyless: 'disabled',
      rememberPasses: 1000,
    } as const
    const { settings, problems } = readSettings({ [key]: bad }, before)
    const field = settingRows.find((r) => r.key === key)!.field
    assert.equal(settings[field], before[field])
    assert.deepEqual(
      problems.map((p) => [p.key, p.found]),
      [[key, bad]],
    )
  })
}

test('a setting that was taken away has its default again', () => {
  assert.deepEqual(readSettings({}, { ...defaultSettings, noMatchPolicy: 'allow' }).settings, defaultSettings)
})

test('a value that is not text is reported', () => {
  assert.equal(readSettings({ keyless: 5 }, defaultSettings).problems.length, 1)
})

test('unknown keys are ignored, as they always were', () => {
  assert.deepEqual(readSettings({ '_example': 'x', 'not-a-setting': 'y' }, defaultSettings), { settings: defaultSettings, problems: [] })
})
