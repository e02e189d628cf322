/**
 * Kills backups and prunes at random moments and looks at what is left: every earlier backup restores, nothing needs
 * repair by hand, the next run cleans up. The suite runs it short, `npm run campaign kill` long.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backup } from '../../src/model/backup.ts'
import { holdfast, type Holdfast } from '../support/holdfast.ts'

export interface SweepResult {
  rounds: number
  killed: number
  /** Finished before the kill came. */
  finished: number
  backupsAtEnd: number
}

interface Listed extends Pick<Backup, 'id' | 'broken'> {
  needs: string[]
}

export async function killSweep(
  dir: string,
  rounds: number,
  log: (text: string) => void = () => {},
): Promise<SweepResult> {
  const cli = holdfast(dir)
  const [source, vault] = [join(dir, 'source'), join(dir, 'vault')]
  makeTree(source)
  /** What each backup must restore to. */
  const expected = new Map<string, string>()
  await backup(cli, source, vault, 'full', expected)
  const took = await backup(cli, source, vault, 'incremental', expected)
  const result: SweepResult = { rounds, killed: 0, finished: 0, backupsAtEnd: 0 }

  for (let round = 0; round < rounds; round += 1) {
    change(source)
    const prune = round % 4 === 3
    const type = ['incremental', 'full', 'differential'][round % 3] as string
    const args = prune
      ? ['prune', '--keep-last', '4', '--vault', vault]
      : ['backup', source, '--to', vault, '--type', type]
    const { child, ended } = cli.start(args)
    await sleep(randomInt(20, Math.round(took * 1.4)))
    child.kill('SIGKILL')
    const end = await ended
    if (end.signal === 'SIGKILL') result.killed += 1
    else {
      result.finished += 1
      assert.equal(end.code, 0, end.stderr)
    }
    await look(cli, vault, source, expected, prune, round)
    log(
      `${round + 1}/${rounds} ${prune ? 'prune' : type} ${end.signal === 'SIGKILL' ? 'killed' : 'finished'}, ${expected.size} backups`,
    )
  }

  await backup(cli, source, vault, 'incremental', expected)
  await restoresAll(cli, vault, expected)
  noLeftovers(vault)
  result.backupsAtEnd = expected.size
  return result
}

/** The vault lists, is sound, and has every backup that it had (or, in a prune, fewer of them, but whole ones). */
async function look(
  cli: Holdfast,
  vault: string,
  source: string,
  expected: Map<string, string>,
  prune: boolean,
  round: number,
): Promise<void> {
  const listed = await cli.json<Listed[]>(['list', '--vault', vault])
  const ids = new Set(listed.map(({ id }) => id))
  for (const id of expected.keys()) {
    if (ids.has(id)) continue
    assert.ok(prune, `round ${round}: backup ${id} was lost`)
    expected.delete(id)
  }
  assert.ok(expected.size > 0, 'the newest backup is never lost')
  for (const { id, broken } of listed) {
    assert.equal(broken, undefined, `round ${round}: ${id} is broken`)
    // Committed just before the kill: as good as any other.
    if (!expected.has(id)) expected.set(id, digest(source))
  }
  const check = await cli.run(['check', '--vault', vault, ...(round % 5 === 0 ? ['--read-data'] : [])])
  assert.equal(check.code, 0, `round ${round}: ${check.stdout}${check.stderr}`)
}

async function restoresAll(cli: Holdfast, vault: string, expected: ReadonlyMap<string, string>): Promise<void> {
  for (const [id, wanted] of expected) {
    const target = join(cli.dir, 'restored')
    const { code, stderr } = await cli.run(['restore', id, '--vault', vault, '--to', target])
    assert.equal(code, 0, stderr)
    assert.equal(digest(join(target, cli.dir, 'source')), wanted, `${id} restores to something else`)
    rmSync(target, { recursive: true, force: true })
  }
}

async function backup(
  cli: Holdfast,
  source: string,
  vault: string,
  type: string,
  expected: Map<string, string>,
): Promise<number> {
  const started = performance.now()
  const { code, stdout, stderr } = await cli.run(['backup', source, '--to', vault, '--type', type, '--json'])
  assert.equal(code, 0, stderr)
  const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}') as { backup_id: string }
  expected.set(last.backup_id, digest(source))
  return performance.now() - started
}

function noLeftovers(vault: string): void {
  const files = readdirSync(vault, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const names = files.map(({ parentPath, name }) => join(parentPath, name).slice(vault.length + 1))
  const bases = names
    .filter((name) => name.endsWith('.manifest.json'))
    .map((name) => name.slice(0, -'.manifest.json'.length))
  const known = new Set(['holdfast-vault.json', 'RECOVERY.md', 'restore.mjs'])
  assert.deepEqual(
    names.filter((name) => !known.has(name) && !bases.some((base) => name.startsWith(`${base}.`))),
    [],
  )
}

function makeTree(source: string): void {
  for (let folder = 0; folder < 12; folder += 1) {
    mkdirSync(join(source, `d${folder}`), { recursive: true })
    for (let file = 0; file < 25; file += 1)
      writeFileSync(join(source, `d${folder}`, `f${file}`), randomBytes(randomInt(10, 40_000)))
  }
  writeFileSync(join(source, 'large'), Buffer.concat([randomBytes(4_000_000), Buffer.alloc(4_000_000, 'text ')]))
}

function change(source: string): void {
  for (let n = 0; n < 8; n += 1)
    writeFileSync(join(source, `d${randomInt(12)}`, `f${randomInt(30)}`), randomBytes(randomInt(10, 40_000)))
  rmSync(join(source, `d${randomInt(12)}`, `f${randomInt(30)}`), { force: true })
}

/** Names and contents. */
function digest(folder: string): string {
  const hash = createHash('sha256')
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(folder, name)
    hash.update(`${name}\0`)
    if (statSync(path).isFile()) hash.update(readFileSync(path))
  }
  return hash.digest('hex')
}
