/**
 * `npm run bench`: Holdfast beside tar, zstd, gzip and restic, in turns, on material that is made first.
 *
 *   --quick           a tenth of the files, 1 GiB instead of 8, one run each: about a minute or two
 *   --only NAMES      of the cases, such as zstd,restore,list, or repo for all of repositories
 *   --on NAMES        of the material: tree, large, small (1 GiB, to compare memory), service, api, start, s3db, storages,
 *                     databases (or postgres, mariadb)
 *   --runs N          turns of each command (3)
 *   --dir FOLDER      for material, vaults and results (default: holdfast-bench in the folder for temporary files)
 *   --write FILE      put the result into this Markdown file, below its `<!-- results -->` mark
 */
import { mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { apiFigures } from './api.ts'
import { casesFor, startCases, vaultOfMany, type Case } from './cases.ts'
import { largeFile, mixedTree, type Material } from './material.ts'
import { compare, medians } from './measure.ts'
import { prepareTools } from '../scripts/test-tools.ts'
import { repositoryCases } from './repository-cases.ts'
import { serviceFigures } from './service.ts'
import { sharedQueueFigures } from './shared-queue.ts'
import { describeMachine, describeMaterial, tableOf, type Result } from './report.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    on: { type: 'string' },
    runs: { type: 'string' },
    dir: { type: 'string', default: join(tmpdir(), 'holdfast-bench') },
    write: { type: 'string' },
  },
})
const { quick, dir } = values
const runs = Number(values.runs ?? (quick ? 1 : 3))
const files = quick ? 10_000 : 100_000
const backups = 1000
const GIB = 1024 ** 3
const work = join(dir, 'work')
const wants = (list: string | undefined, name: string): boolean =>
  list === undefined || list.split(',').some((one) => one === name || name.startsWith(`${one}-`))

rmSync(work, { recursive: true, force: true })
mkdirSync(work, { recursive: true })
refuseWithoutRoom()

const results: Result[] = []
const used: { label: string; material: Material }[] = []

try {
  if (wants(values.on, 'tree')) onMaterial('mixed tree', mixedTree(dir, files))
  if (!quick && wants(values.on, 'small')) onMaterial('1 GiB file', largeFile(dir, 1))
  if (wants(values.on, 'large')) onMaterial(quick ? '1 GiB file' : '8 GiB file', largeFile(dir, quick ? 1 : 8))
  if (wants(values.on, 'service')) {
    console.log(serviceFigures(work))
    console.log(await sharedQueueFigures(work))
  }
  if (wants(values.on, 'api')) console.log(await apiFigures(work, quick ? 10 : 60))
  if (wants(values.on, 'start')) await onStart()
} finally {
  rmSync(work, { recursive: true, force: true })
}

const s3db = wants(values.on, 's3db') ? await onS3db() : ''
const storages = wants(values.on, 'storages') ? await onStorages() : ''
const databases = await onDatabases()
const text = `${describeMachine(dir)}\n${describeMaterial(used)}\n${tableOf(results, runs)}${s3db}${storages}${databases}`
console.log(text)
if (values.write !== undefined) write(values.write)
// s3db keeps timers.
if (s3db !== '') setImmediate(() => process.exit())

function onMaterial(label: string, material: Material): void {
  used.push({ label, material })
  for (const one of [...casesFor(label, material, work), ...repositoryCases(label, material, work)]) {
    if (wants(values.only, one.name) && !(material.files === 1 && one.name === 'unchanged')) runCase(one)
  }
}

async function onDatabases(): Promise<string> {
  const on = (name: string): boolean => wants(values.on, 'databases') || wants(values.on, name)
  if (!on('postgres') && !on('mariadb')) return ''
  Object.assign(process.env, await prepareTools())
  const { databaseBenchmarks } = await import('./databases.ts')
  return databaseBenchmarks(join(dir, 'databases'), { quick, runs, on })
}

async function onStart(): Promise<void> {
  if (wants(values.only, 'list')) await vaultOfMany(work, backups)
  for (const one of startCases(work, backups)) if (wants(values.only, one.name)) runCase(one)
}

/** Loaded when its tools are there. */
async function onS3db(): Promise<string> {
  Object.assign(process.env, await prepareTools())
  const { s3dbBenchmarks } = await import('./s3db.ts')
  return s3dbBenchmarks(join(dir, 's3db'), { quick })
}

/** `--only` names drivers. */
async function onStorages(): Promise<string> {
  Object.assign(process.env, await prepareTools())
  const { storageBenchmarks } = await import('./storages.ts')
  mkdirSync(join(dir, 'storages'), { recursive: true })
  return storageBenchmarks(join(dir, 'storages'), { quick, runs, only: values.only })
}

function runCase(one: Case): void {
  console.error(one.title)
  const figures = compare(one.commands, one.runs ?? runs, work).map(medians)
  results.push({ title: one.title, rows: one.commands.map(({ name }, at) => ({ name, figures: figures[at] })) })
  one.finish?.()
}

/** Material, one vault, one plain archive and one restored copy. */
function refuseWithoutRoom(): void {
  const needed = (quick ? 5 : 30) * GIB
  const { bavail, bsize } = statfsSync(dir)
  if (bavail * bsize < needed) throw new Error(`${dir} needs ${needed / GIB} GiB of free space`)
}

function write(file: string): void {
  const mark = '<!-- results -->\n'
  const old = readFileSync(file, 'utf8')
  const at = old.indexOf(mark)
  if (at === -1) throw new Error(`${file} has no line ${mark.trim()}`)
  writeFileSync(file, `${old.slice(0, at + mark.length)}\n${text}`)
}
