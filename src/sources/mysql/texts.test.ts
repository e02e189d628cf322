import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { isAppError } from '../../base/errors.ts'
import { BLOCK } from '../pieces.ts'
import { answerOf } from './auth.ts'
import { insertWriter } from './insert-writer.ts'
import { insertStatements } from './loader.ts'
import { parseGreeting, parseRow, serverError } from './packets.ts'
import { parseGrants } from './privileges.ts'
import { splitStatements, statementsText } from './sql-text.ts'
import { rangesBetween } from './tables.ts'

test('statements with delimiters in them come back as they were', () => {
  const statements = ["select ';;'", 'begin\n  select 1;\nend', "x ;;\n ;;;$ 'é'", '-- only\nselect 2']
  const text = statementsText(statements)
  assert.deepEqual(splitStatements(text, 'x').slice(1), statements)
  assert.throws(
    () => splitStatements(text.slice(0, -30), 'x'),
    (error) => isAppError(error, 'backup.damaged'),
  )
})

test('rows are cut into statements wherever the bytes of a file are cut', async () => {
  const text = "INSERT INTO t VALUES\n(1,'a;\\n'),\n(2,'b');\nINSERT INTO t VALUES\n(3,';');\n"
  const whole = Buffer.from(text)
  for (let size = 1; size <= whole.length; size += 1) {
    async function* cut() {
      const memory = Buffer.alloc(size)
      for (let at = 0; at < whole.length; at += size) yield memory.subarray(0, whole.copy(memory, 0, at, at + size))
    }
    const found: string[] = []
    for await (const statement of insertStatements(cut(), 'x')) found.push(Buffer.from(statement).toString())
    assert.deepEqual(found, [text.slice(0, text.indexOf('INSERT', 1)), text.slice(text.indexOf('INSERT', 1))])
  }
  await assert.rejects(async () => {
    async function* truncated() {
      yield whole.subarray(0, -3)
    }
    for await (const _ of insertStatements(truncated(), 'x'));
  }, /ends within a statement/)
})

test('ranges of keys cover every key once, and stay the same when a table grows', () => {
  for (const [low, high, bytes] of [
    [1n, 1n, 10],
    [-5n, 1_000_000n, 60e6],
    [0n, 2n ** 63n - 1n, 900e6],
    [-(2n ** 63n), 2n ** 63n - 1n, 9e9],
    [7n, 8n, 9e9],
  ] as const) {
    const ranges = rangesBetween(low, high, bytes)
    assert.equal(ranges[0]?.from, undefined)
    assert.equal(ranges.at(-1)?.below, undefined)
    for (let at = 1; at < ranges.length; at += 1) assert.equal(ranges[at]?.from, ranges[at - 1]?.below)
    assert.ok(ranges.length <= 2 * Math.max(2, bytes / 6e6) + 2, `${ranges.length}`)
  }
  const before = rangesBetween(1n, 1_000_000n, 60e6)
  const after = rangesBetween(1n, 1_001_000n, 60.1e6)
  assert.deepEqual(after.slice(0, before.length - 1), before.slice(0, -1))
})

test('a row of the protocol becomes a line of SQL', () => {
  const field = (text: string | undefined): Buffer =>
    text === undefined ? Buffer.from([0xfb]) : Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')])
  const out: Uint8Array[] = []
  const writer = insertWriter('INSERT INTO t VALUES', ['number', 'text', 'plain', 'binary', 'bits', 'text'], {
    block: () => Buffer.alloc(BLOCK),
    write: (bytes) => out.push(bytes),
    ready: () => undefined,
  })
  const row = Buffer.concat(['1', "a'\n\\", '2024-01-01', '\0\x1a', '\x01\xff', undefined].map(field))
  writer.row(row, 0, row.length)
  writer.row(row, 0, row.length)
  writer.finish()
  const line = String.raw`(1,'a\'\n\\','2024-01-01',_binary'\0\Z',0x01ff,NULL)`
  assert.equal(Buffer.concat(out).toString(), `INSERT INTO t VALUES\n${line},\n${line};\n`)
  assert.equal(writer.rows, 2)
  assert.deepEqual(parseRow(row, 6)[5], undefined)
})

test('grants are read with what they are on', () => {
  const grants = parseGrants([
    "GRANT SELECT (`a`, `b`), RELOAD ON *.* TO `x`@`%` IDENTIFIED BY PASSWORD '*AB'",
    'GRANT ALL PRIVILEGES ON `shop\\_1`.* TO `x`@`%`',
    'GRANT `role` TO `x`@`%`',
  ])
  assert.deepEqual(
    grants.map(({ scope, privileges }) => [scope, [...privileges]]),
    [
      ['*.*', ['SELECT', 'RELOAD']],
      ['shop\\_1.*', ['ALL PRIVILEGES']],
    ],
  )
})

test('MySQL 8: its greeting is understood, and its server could check our answer', () => {
  // Version 8.0.36, connection 10, utf8mb4_0900_ai_ci, caching_sha2_password; as MySQL documents the packet.
  const nonce = Buffer.from('abcdefghijklmnopqrst')
  const greeting = parseGreeting(
    Buffer.concat([
      Buffer.from('\n8.0.36\0'),
      Buffer.from([10, 0, 0, 0]),
      nonce.subarray(0, 8),
      Buffer.from([0, 0xff, 0xff, 255, 2, 0, 0xff, 0xdf, 21]),
      Buffer.alloc(10),
      nonce.subarray(8),
      Buffer.from('\0caching_sha2_password\0'),
    ]),
  )
  assert.deepEqual([greeting.version, greeting.connectionId, greeting.plugin], ['8.0.36', 10, 'caching_sha2_password'])
  assert.deepEqual(greeting.nonce, nonce)
  const sha = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()
  // The server keeps SHA256(SHA256(password)); the answer gives it SHA256(password), which it hashes and compares.
  const kept = sha(sha(Buffer.from('pässword')))
  const answer = answerOf(greeting.plugin, 'pässword', greeting.nonce, false)
  const mask = sha(Buffer.concat([kept, nonce]))
  assert.deepEqual(sha(Buffer.from(answer.map((byte, at) => byte ^ (mask[at] ?? 0)))), kept)
})

test('what a server refuses has the code that says whether trying again can help', () => {
  const told = (number: number, text: string) =>
    serverError(Buffer.concat([Buffer.from([0xff, number & 255, number >> 8]), Buffer.from(`#HY000${text}`)]))
  assert.ok(isAppError(told(1045, 'Access denied'), 'source.denied'))
  assert.ok(told(1040, 'Too many connections').retryable)
  assert.ok(!told(1064, 'syntax').retryable)
  assert.match(told(1064, 'syntax').message, /\(1064\): syntax/)
})
