import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shapeFault, shapeOf, type Thing } from './shape.ts'

const KEY: Thing = ['constraint', 'public.t.t_pkey', 'PRIMARY KEY (id)']
const CHECK: Thing = [
  'constraint',
  'public.t.sane',
  "CHECK (((a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[])))",
]

test('a schema that lacks, adds or changes something is told, each by its name', () => {
  const before = shapeOf('15', [KEY, CHECK])
  assert.equal(shapeFault(before, shapeOf('15', [CHECK, KEY])), undefined, 'in any order')
  assert.equal(shapeFault(before, shapeOf('15', [CHECK])), 'constraint public.t.t_pkey is missing')
  assert.match(shapeFault(before, shapeOf('15', [KEY, CHECK, ['index', 'i', '']])) ?? '', /index i was not there/)
  const other: Thing = ['constraint', 'public.t.t_pkey', 'PRIMARY KEY (id, b)']
  assert.match(shapeFault(before, shapeOf('15', [other, CHECK])) ?? '', /was "PRIMARY KEY \(id\)" and is "PRIMARY KEY/)
  assert.equal(shapeFault(before, shapeOf('18', [other, CHECK])), undefined, 'another version may word it otherwise')
  assert.match(shapeFault(before, shapeOf('18', [CHECK])) ?? '', /is missing/)
})

test('an expression that the server has read again is the same one', () => {
  const again: Thing = [
    'constraint',
    'public.t.sane',
    "CHECK (((a)::text = ANY (ARRAY[('x'::character varying)::text, ('y'::character varying)::text])))",
  ]
  assert.equal(shapeFault(shapeOf('15', [CHECK]), shapeOf('15', [again])), undefined)
  const stricter: Thing = ['constraint', 'public.t.sane', "CHECK (((a)::text = ANY (ARRAY[('x'::text)])))"]
  assert.notEqual(shapeFault(shapeOf('15', [CHECK]), shapeOf('15', [stricter])), undefined)
})

test('what an earlier backup did not look at, and what was not restored, is not compared', () => {
  const view: Thing = ['view', 'public.v', 'SELECT 1']
  const grant: Thing = ['privilege', 'public.t', 'clerk SELECT']
  const now = shapeOf('15', [KEY, view, grant])
  const { also: _, ...early } = shapeOf('15', [KEY])
  assert.equal(shapeFault(early, now), undefined)
  assert.match(shapeFault(shapeOf('15', [KEY, grant]), now) ?? '', /view public\.v was not there/)
  assert.match(shapeFault(now, shapeOf('15', [KEY, view])) ?? '', /privilege public\.t is missing/)
  assert.equal(shapeFault(now, shapeOf('15', [KEY, view]), ['privilege']), undefined)
})
