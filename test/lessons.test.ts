import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')

test('each complaint about other tools has its test, and that is there', () => {
  const rows = readFileSync(join(root, 'docs/lessons.md'), 'utf8')
    .split('\n')
    .filter((line) => /^\| \d+ \|/.test(line))
  const numbers = new Set(rows.map((row) => Number(/^\| (\d+) \|/.exec(row)?.[1])))
  assert.equal(numbers.size, 32)
  for (const row of rows) {
    const [, file = '', title = ''] = /`((?:src|test)\/[^`]+)`: (.+) \|$/.exec(row) ?? []
    // Parts of titles that are put together when they run have other quotation marks.
    const text = readFileSync(join(root, file), 'utf8').replaceAll(/\s*\n\s*(?:\/\/ )?/g, ' ')
    assert.ok(text.includes(title), `${file} has no test: ${title}`)
  }
})
