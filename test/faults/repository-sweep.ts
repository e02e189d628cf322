/**
 * Kills backups, prunes, copies and repairs of repositories at random moments and looks at what is left: no snapshot is lost,
 * nothing has to be unlocked or repaired by hand, and in the end the real restic finds nothing wrong. The suite runs it
 * short, `npm run campaign -- repository` long.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../src/base/clock.ts'
import { literalSecret } from '../../src/model/secret.ts'
import type { Vault } from '../../src/model/vault.ts'
import { createRepository, openRepository } from '../../src/repository/repository.ts'
import { vaultOf } from '../../src/repository/vault.ts'
import { local } from '../../src/storage/local.ts'
import { holdfast } from '../support/holdfast.ts'
import { restic, RESTIC_PASSWORD, type Restic } from '../support/restic.ts'

export interface SweepResult {
  rounds: number
  killed: number
  snapshotsAtEnd: number
}

const env = { HOLDFAST_PASSWORD: RESTIC_PASSWORD }
const password = literalSecret(RESTIC_PASSWORD, 'the sweep')

async function newVault(path: string): Promise<Vault> {
  // One step of the key derivation: the sweep opens it hundreds of times.
  const storage = local({ path })
  await createRepository(storage, password, { now: new Date(), p: 1 })
  return vaultOf(await openRepository(storage, password), {
    settings: { name: path },
    clock: systemClock,
    program: 'holdfast test',
  })
}

export async function repositorySweep(
  dir: string,
  rounds: number,
  program: Restic | undefined,
  log: (text: string) => void = () => {},
): Promise<SweepResult> {
  const cli = holdfast(dir)
  const [source, main, other] = [join(dir, 'source'), join(dir, 'main'), join(dir, 'other')]
  makeTree(source)
  const vault = await newVault(main)
  const copies = await newVault(other)
  /** What each snapshot must restore to. */
  const expected = new Map<string, string>()
  const run = async (...args: string[]): Promise<number> => {
    const started = performance.now()
    const done = await cli.run(args, { env })
    assert.equal(done.code, 0, `${args.join(' ')}: ${done.stderr}`)
    return performance.now() - started
  }
  await run('backup', source, '--to', main)
  let took = await run('backup', source, '--to', main)
  await learn(vault, source, expected, 'the first ones')
  const result: SweepResult = { rounds, killed: 0, snapshotsAtEnd: 0 }

  for (let round = 0; round < rounds; round += 1) {
    change(source)
    const kind = (['backup', 'prune', 'backup', 'copy', 'backup', 'repair'] as const)[round % 6] as string
    const args = {
      backup: ['backup', source, '--to', main],
      prune: ['prune', '--keep-last', '4', '--max-unused', '0', '--vault', main],
      copy: ['copy', 'latest', '--vault', main, '--to', other],
      repair: ['repair', '--read-data', '--vault', main],
    }[kind] as string[]
    const { child, ended } = cli.start(args, { env })
    await sleep(randomInt(Math.round(took * 0.3), Math.round(took * 1.2)))
    child.kill('SIGKILL')
    const end = await ended
    if (end.signal === 'SIGKILL') result.killed += 1
    else assert.equal(end.code, 0, `round ${round}, ${kind}: ${end.stderr}`)
    await learn(vault, source, expected, `round ${round}, ${kind}`, kind === 'prune')
    const { damage } = await vault.check({ readData: round % 5 === 0 })
    assert.deepEqual(damage, [], `round ${round}, ${kind}`)
    if (kind === 'copy') assert.deepEqual((await copies.check({ readData: true })).damage, [])
    // The next run needs nobody's help.
    if (round % 6 === 2) took = await run('backup', source, '--to', main)
    await learn(vault, source, expected, `round ${round}, the next run`)
    log(
      `${round + 1}/${rounds} ${kind} ${end.signal === 'SIGKILL' ? 'killed' : 'finished'}, ${expected.size} snapshots`,
    )
  }

  await run('prune', '--keep-last', '6', '--max-unused', '0', '--vault', main)
  await learn(vault, source, expected, 'the end', true)
  for (const [id, wanted] of expected) {
    const target = join(dir, 'restored')
    await run('restore', id, '--vault', main, '--to', target)
    assert.equal(digest(join(target, source)), wanted, `${id} restores to something else`)
    rmSync(target, { recursive: true, force: true })
  }
  for (const path of program === undefined ? [] : [main, other])
    assert.match(restic(program as Restic, path, 'check', '--read-data'), /no errors were found/)
  // Temporary files of killed writes stay for an hour, and are no locks.
  assert.deepEqual(
    readdirSync(join(main, 'locks')).filter((name) => !name.startsWith('.')),
    [],
  )
  result.snapshotsAtEnd = expected.size
  return result
}

/** Nothing is lost but by a prune; what came is what the source is now. */
async function learn(
  vault: Vault,
  source: string,
  expected: Map<string, string>,
  what: string,
  mayBeGone = false,
): Promise<void> {
  const ids = new Set((await vault.backups()).map(({ id }) => id))
  for (const id of expected.keys()) {
    if (ids.has(id)) continue
    assert.ok(mayBeGone, `${what}: snapshot ${id} was lost`)
    expected.delete(id)
  }
  for (const id of ids) if (!expected.has(id)) expected.set(id, digest(source))
}

function makeTree(source: string): void {
  for (let folder = 0; folder < 10; folder += 1) {
    mkdirSync(join(source, `d${folder}`), { recursive: true })
    for (let file = 0; file < 50; file += 1)
      writeFileSync(join(source, `d${folder}`, `f${file}`), randomBytes(randomInt(10, 20_000)))
  }
  writeFileSync(join(source, 'large'), Buffer.concat([randomBytes(6_000_000), Buffer.alloc(4_000_000, 'text ')]))
}

function change(source: string): void {
  for (let n = 0; n < 12; n += 1)
    writeFileSync(join(source, `d${randomInt(10)}`, `f${randomInt(55)}`), randomBytes(randomInt(10, 40_000)))
  rmSync(join(source, `d${randomInt(10)}`, `f${randomInt(50)}`), { force: true })
  writeFileSync(join(source, 'moving'), randomBytes(5_000_000))
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
