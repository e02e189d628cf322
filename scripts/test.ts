/**
 * `npm test`: brings what the tests need, checks formatting, lint and types, runs every test file on real servers, and
 * ends with one line `N passed, N failed`. Arguments narrow it to some files and leave the checks out.
 */
import { spawn } from 'node:child_process'
import { glob } from 'node:fs/promises'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { dirname, join, relative } from 'node:path'
import { prepareTools } from './test-tools.ts'

const root = join(dirname(import.meta.filename), '..')
const wanted = process.argv.slice(2)

async function check(): Promise<boolean> {
  const child = spawn(process.execPath, [join(root, 'scripts/check.ts')], { stdio: 'inherit', cwd: root })
  return new Promise((resolve) => child.on('exit', (code) => resolve(code === 0)))
}

async function testFiles(): Promise<string[]> {
  if (wanted.length > 0) return wanted
  const files: string[] = []
  for await (const file of glob(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root })) files.push(join(root, file))
  // The long ones, which cross folders, first: else one of them works alone at the end.
  return files.sort((a, b) => Number(b.includes('/test/')) - Number(a.includes('/test/')) || (a < b ? -1 : 1))
}

const started = performance.now()
Object.assign(process.env, await prepareTools())
const checksOk = wanted.length > 0 || (await check())

let passed = 0
let failed = checksOk ? 0 : 1
let skipped = 0
const ran = new Set<string>()
/** Seconds of each file's tests. */
const took = new Map<string, number>()
const note = ({
  file,
  details,
  nesting,
}: {
  file?: string
  details: { duration_ms: number }
  nesting: number
}): void => {
  if (file !== undefined && nesting === 0) took.set(file, (took.get(file) ?? 0) + details.duration_ms / 1000)
}
const stream = run({ files: await testFiles(), concurrency: 2, timeout: 15 * 60_000 })
stream.on('test:pass', (event) => {
  note(event)
  if (event.details.type === 'suite') return
  if (event.skip !== undefined) skipped += 1
  else passed += 1
  for (const driver of event.name.matchAll(/driver:([\w-]+)/g)) if (event.skip === undefined) ran.add(driver[1] ?? '')
})
stream.on('test:fail', (event) => {
  note(event)
  if (event.details.type !== 'suite') failed += 1
})
stream.compose(spec).pipe(process.stdout)
await new Promise((resolve) => stream.on('close', resolve).on('end', resolve))
await new Promise((resolve) => setTimeout(resolve, 50))

// A driver that CI names must have run at least one test that says `driver:NAME` in its title.
for (const driver of (process.env['REQUIRE_DRIVERS'] ?? '').split(',').filter(Boolean)) {
  if (wanted.length > 0 || ran.has(driver)) continue
  console.log(`driver ${driver} is required but none of its tests ran`)
  failed += 1
}
if (passed === 0) failed += 1
const slowest = [...took].sort((a, b) => b[1] - a[1]).slice(0, 12)
if (wanted.length === 0)
  console.log(
    `the longest files: ${slowest.map(([file, seconds]) => `${relative(root, file)} ${Math.round(seconds)} s`).join(', ')}`,
  )
console.log(`took ${Math.round((performance.now() - started) / 1000)} s${skipped > 0 ? `, ${skipped} skipped` : ''}`)
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
