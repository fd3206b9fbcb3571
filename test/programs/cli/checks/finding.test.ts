import { equal } from 'node:assert/strict'
import { test } from 'node:test'
import { counted, named } from '../../../../programs/cli/checks/finding.ts'

test('a few names are told, of many how many more there are', () => {
  equal(named(['a', 'b']), 'a, b')
  equal(named(['a', 'b', 'c', 'd', 'e', 'f', 'g']), 'a, b, c, d, e and 2 more')
})

test('one thing is singular', () => {
  equal(counted(1, 'policy', 'policies'), '1 policy')
  equal(counted(0, 'thing'), '0 things')
})
