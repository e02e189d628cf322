import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hunks, lineDiff } from '../../ui/src/pages/backup/line-diff.ts'

const SIGN = { same: ' ', added: '+', removed: '-' }

const shown = (before: string, after: string): string =>
  lineDiff(before, after)
    .map(({ kind, text }) => `${SIGN[kind]}${text}`)
    .join('|')

test('lines that two texts share are told from those that came or went', () => {
  assert.equal(shown('a\nb\nc\n', 'a\nx\nc\nd\n'), ' a|-b|+x| c|+d')
  assert.equal(shown('', 'a'), '+a')
  assert.equal(shown('a\n', ''), '-a')
  assert.equal(shown('same\n', 'same'), ' same')
})

test('any two texts come out of the lines that are told, by the shortest way', () => {
  let seed = 7
  const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
  const text = (): string[] => Array.from({ length: random(14) }, () => 'abc'.charAt(random(3)))
  for (let round = 0; round < 3000; round += 1) {
    const [a, b] = [text(), text()]
    const lines = lineDiff(a.join('\n'), b.join('\n'))
    const without = (other: string): string[] => lines.filter(({ kind }) => kind !== other).map((line) => line.text)
    assert.deepEqual([without('added'), without('removed')], [a, b])
    assert.equal(lines.filter(({ kind }) => kind === 'same').length, shared(a, b))
  }
})

test('texts that have little in common are told as replaced, in bounded time', () => {
  const [a, b] = ['a', 'b'].map((letter) => Array.from({ length: 3000 }, (_, n) => `${letter}${n}`).join('\n'))
  assert.equal(lineDiff(a ?? '', b ?? '').length, 6000)
})

test('far from a change lines are counted, not shown', () => {
  const before = Array.from({ length: 30 }, (_, n) => String(n))
  const after = before.with(15, 'changed')
  const found = hunks(lineDiff(before.join('\n'), after.join('\n')))
  assert.deepEqual(
    found.map((one) => (typeof one === 'number' ? one : one.map(({ text }) => text))),
    [12, ['12', '13', '14', '15', 'changed', '16', '17', '18'], 11],
  )
})

/** The length of the longest common run of lines, by the table that the way must agree with. */
function shared(a: readonly string[], b: readonly string[]): number {
  let row: number[] = Array.from({ length: b.length + 1 }, () => 0)
  for (const line of a.toReversed()) {
    const next = row.map(() => 0)
    for (let j = b.length - 1; j >= 0; j -= 1)
      next[j] = line === b[j] ? (row[j + 1] ?? 0) + 1 : Math.max(row[j] ?? 0, next[j + 1] ?? 0)
    row = next
  }
  return row[0] ?? 0
}
