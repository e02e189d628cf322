import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { systemClock, type Clock } from './clock.ts'
import { AppError } from './errors.ts'
import { createLog, openRunLog } from './log.ts'
import { registerSecret } from './redact.ts'
import { rotatingFile } from './rotating-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-log-'))
after(() => rmSync(folder, { recursive: true }))

const lines = (file: string) =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

const clockAt = (iso: string): Clock => ({ ...systemClock, now: () => new Date(iso) })

test('a line is JSON with level, time, process, fields and message, in a file for this user only', () => {
  const file = join(folder, 'one/holdfast.log')
  const log = createLog({ level: 'info', file }, { clock: clockAt('2024-03-15T14:30:45.123Z') })
  log.debug('not this one')
  log.info('backup done', { job: 'shop', bytes: 10 })
  log.child({ run: 'r1' }).warn('slow', { time: 'mine' })
  log.close()
  assert.deepEqual(lines(file), [
    { level: 'info', time: '2024-03-15T14:30:45.123Z', pid: process.pid, job: 'shop', bytes: 10, msg: 'backup done' },
    { level: 'warn', time: '2024-03-15T14:30:45.123Z', pid: process.pid, run: 'r1', time_: 'mine', msg: 'slow' },
  ])
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(statSync(join(folder, 'one')).mode & 0o777, 0o700)
})

test('nothing is created before the first line', () => {
  createLog({ level: 'info', file: join(folder, 'none/holdfast.log') }).close()
  assert.ok(!readdirSync(folder).includes('none'))
})

test('no secret gets into a log, by message, field, key, error or cause', () => {
  registerSecret('t0p-secret')
  const file = join(folder, 'secret.log')
  const log = createLog({ level: 'trace', file })
  const cause = new Error('cause t0p-secret', { cause: { url: 'https://u:t0p-secret@h/' } })
  log.error('message t0p-secret', {
    text: 't0p-secret',
    't0p-secret': 1,
    password: 'never seen before',
    error: new AppError('storage.denied', 'denied t0p-secret', { cause, details: { list: ['t0p-secret'] } }),
  })
  log.child({ bound: 't0p-secret' }).info('x')
  log.close()
  const text = readFileSync(file, 'utf8')
  assert.ok(!text.includes('t0p-secret') && !text.includes('never seen before'), text)
  const [line] = lines(file)
  assert.equal((line?.['error'] as { code: string } | undefined)?.code, 'storage.denied')
})

test('a log is put aside when it is large, and only so many are kept', () => {
  const file = join(folder, 'rotate/holdfast.log')
  const log = createLog({ level: 'info', file, maxSize: '1k', maxFiles: 3 })
  for (let index = 0; index < 100; index += 1) log.info(`line ${index}`)
  log.close()
  const names = readdirSync(join(folder, 'rotate'))
  assert.equal(names.length, 4, names.join(' '))
  for (const name of names) assert.ok(statSync(join(folder, 'rotate', name)).size <= 1024)
  assert.equal(lines(file).at(-1)?.['msg'], 'line 99')
})

test('a log is put aside after a day, and deleted after its age', () => {
  const file = join(folder, 'age/holdfast.log')
  const options = { maxBytes: 1e6, maxFiles: 10, maxAgeMs: 3 * 86_400_000 }
  const day = (count: number) => ({ ...systemClock, now: () => new Date(Date.now() + count * 86_400_000) })
  const writeOn = (count: number) => {
    const log = rotatingFile(file, { ...options, clock: day(count) })
    log.write(`day ${count}\n`)
    log.close()
  }
  writeOn(0)
  const other = join(folder, 'age/holdfast-notes.log')
  writeFileSync(other, 'not ours')
  writeOn(1.5)
  assert.equal(readFileSync(file, 'utf8'), 'day 1.5\n')
  assert.equal(readdirSync(join(folder, 'age')).length, 3)
  const aside = readdirSync(join(folder, 'age')).find((name) => /^holdfast-\d{4}/.test(name)) ?? ''
  utimesSync(join(folder, 'age', aside), new Date(0), new Date(0))
  writeOn(1.5)
  const left = readdirSync(join(folder, 'age')).map((name) => readFileSync(join(folder, 'age', name), 'utf8'))
  assert.ok(!left.includes('day 0\n'), left.join())
  assert.equal(readFileSync(other, 'utf8'), 'not ours')
})

test('two writers of one log lose no line while either puts it aside', () => {
  const file = join(folder, 'two/holdfast.log')
  const options = { maxBytes: 200, maxFiles: 100, maxAgeMs: 1e12, clock: systemClock }
  const [one, two] = [rotatingFile(file, options), rotatingFile(file, options)]
  for (let index = 0; index < 50; index += 1) {
    one.write(`one ${index}\n`)
    two.write(`two ${index}\n`)
  }
  one.close()
  two.close()
  const all = readdirSync(join(folder, 'two')).flatMap((name) =>
    readFileSync(join(folder, 'two', name), 'utf8')
      .trim()
      .split('\n'),
  )
  assert.equal(new Set(all).size, 100)
})

test('a log that cannot be written is told of once, and the work goes on', () => {
  const problems: string[] = []
  writeFileSync(join(folder, 'a-file'), '')
  const log = createLog(
    { level: 'info', file: join(folder, 'a-file/holdfast.log') },
    { onProblem: (message) => problems.push(message) },
  )
  log.info('one')
  log.error('two')
  assert.equal(problems.length, 1)
  assert.match(problems[0] ?? '', /cannot write the log .*a-file/)
})

test('a run has its own log, in the folder for them', () => {
  const runLogDir = join(folder, 'runs')
  const log = createLog({ level: 'debug', file: join(folder, 'main.log') }, { runLogDir })
  const run = log.openRun('run-1')
  run.debug('inside', { path: '/x' })
  run.close()
  assert.equal(run.path, join(runLogDir, 'run-1.ndjson'))
  assert.deepEqual([lines(run.path)[0]?.['level'], lines(run.path)[0]?.['msg']], ['debug', 'inside'])
  assert.equal(statSync(run.path).mode & 0o777, 0o600)
})

test('the log of a run is bounded, keeps room for errors, and says how much is missing', () => {
  const path = join(folder, 'bounded.ndjson')
  const run = openRunLog(path, { maxBytes: 4000 })
  for (let index = 0; index < 1000; index += 1) run.info(`line ${index}`)
  run.error('the end')
  run.close()
  const all = lines(path)
  assert.ok(statSync(path).size < 4600)
  assert.equal(all.at(-2)?.['msg'], 'the end')
  assert.ok(Number(all.at(-1)?.['dropped']) > 900)
})

test('another stream gets each line too', () => {
  const seen: string[] = []
  const log = createLog({ level: 'info' }, { also: { write: (line) => seen.push(line) } })
  log.info('to the container')
  assert.match(seen[0] ?? '', /"msg":"to the container"}\n$/)
})
