/** Holdfast and restic in turns, at random, on one repository; in the end every snapshot is compared. */
import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { holdfast } from '../support/holdfast.ts'
import { essenceOf } from '../support/odd-tree.ts'
import { restic, RESTIC_PASSWORD, type Restic } from '../support/restic.ts'

const env = { HOLDFAST_PASSWORD: RESTIC_PASSWORD }
const KEPT = 12

export async function interleave(
  dir: string,
  steps: number,
  programs: readonly Restic[],
  log: (text: string) => void = () => {},
): Promise<number> {
  const [source, repository] = [join(dir, 'source'), join(dir, 'repo')]
  mkdirSync(source)
  const cli = holdfast(dir)
  const ours = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await cli.run(args, { env })
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
  }
  const any = (): Restic => programs[randomInt(programs.length)] as Restic
  /** Snapshot → what it must restore to. */
  const expected = new Map<string, Record<string, unknown>>()
  const learn = async (what: string, mayBeGone: boolean): Promise<void> => {
    const ids = new Set(readdirSync(join(repository, 'snapshots')))
    for (const id of expected.keys()) {
      if (ids.has(id)) continue
      assert.ok(mayBeGone, `${what} lost ${id}`)
      expected.delete(id)
    }
    for (const id of ids) if (!expected.has(id)) expected.set(id, await essenceOf(source))
  }
  const actions: [string, boolean, () => Promise<void> | string][] = [
    ['our backup', false, async () => ours('backup', source, '--to', repository)],
    ['our backup', false, async () => ours('backup', source, '--to', repository)],
    ['its backup', false, () => restic(any(), repository, 'backup', source)],
    ['its backup', false, () => restic(any(), repository, 'backup', source)],
    [
      'our prune',
      true,
      async () => ours('prune', '--keep-last', String(KEPT), '--max-unused', '0', '--vault', repository),
    ],
    [
      'its prune',
      true,
      () => restic(any(), repository, 'forget', '--keep-last', String(KEPT), '--prune', '--max-unused', '1%'),
    ],
    ['our check', false, async () => ours('check', '--read-data', '--vault', repository)],
    ['its check', false, () => restic(any(), repository, 'check', '--read-data')],
    ['our repair', false, async () => ours('repair', '--vault', repository)],
  ]
  change(source)
  await ours('backup', source, '--to', repository, '--format', 'repository')
  await learn('the first backup', false)
  for (let step = 0; step < steps; step += 1) {
    if (randomInt(2) === 0) change(source)
    const [what, mayBeGone, work] = actions[randomInt(actions.length)] as (typeof actions)[number]
    await work()
    await learn(`step ${step}, ${what}`, mayBeGone)
    log(`${step + 1}/${steps} ${what}: ${expected.size} snapshots`)
  }
  for (const program of programs)
    assert.match(restic(program, repository, 'check', '--read-data'), /no errors were found/)
  await ours('check', '--read-data', '--vault', repository)
  for (const [n, [id, wanted]] of [...expected].entries()) {
    const out = join(dir, 'out')
    if (n % 2 === 0) restic(any(), repository, 'restore', id, '--target', out)
    else await ours('restore', id, '--vault', repository, '--to', out)
    assert.deepEqual(await essenceOf(join(out, source)), wanted, id)
    rmSync(out, { recursive: true })
  }
  return expected.size
}

function change(source: string): void {
  for (let n = 0; n < 25; n += 1) {
    const folder = join(source, `d${randomInt(6)}`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `f${randomInt(20)}`), randomBytes(randomInt(0, 30_000)))
  }
  rmSync(join(source, `d${randomInt(6)}`, `f${randomInt(20)}`), { force: true })
  writeFileSync(
    join(source, `large${randomInt(3)}`),
    Buffer.concat([randomBytes(1_500_000), Buffer.alloc(1_000_000, 'x')]),
  )
}
