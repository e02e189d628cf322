/** Repository vaults beside restic, Debian's and a newer one, and borg, where they are installed. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { toolCache } from '../scripts/test-tools.ts'
import type { Case } from './cases.ts'
import { warm, type Material } from './material.ts'
import { measure, type Command } from './measure.ts'

const HOLDFAST = join(dirname(import.meta.filename), '../holdfast')
const PASSWORD = 'a password of the benchmark'

interface Program {
  name: string
  /** In `repository`; each gives the words of a command. */
  init(repository: string): string[]
  backup(repository: string, path: string): string[]
  restore(repository: string, out: string): string[]
  check(repository: string): string[]
  /** Keeps the newest two. */
  prune(repository: string): string[]
}

const newer = process.env['HOLDFAST_TEST_RESTIC'] ?? join(toolCache(), 'go-bin/restic-0.18.1')
const have = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0

const restic = (name: string, program: string): Program => ({
  name,
  init: (repository) => [program, '-r', repository, 'init', '-q'],
  backup: (repository, path) => [program, '-r', repository, 'backup', '-q', path],
  restore: (repository, out) => [program, '-r', repository, 'restore', '-q', 'latest', '--target', out],
  check: (repository) => [program, '-r', repository, 'check', '-q', '--read-data'],
  prune: (repository) => [program, '-r', repository, 'forget', '-q', '--keep-last', '2', '--prune'],
})

const holdfast: Program = {
  name: 'holdfast',
  init: (repository) => [HOLDFAST, 'init', repository, '--format', 'repository', '--quiet'],
  backup: (repository, path) => [HOLDFAST, 'backup', path, '--to', repository, '--quiet'],
  restore: (repository, out) => [HOLDFAST, 'restore', 'latest', '--vault', repository, '--to', out, '--quiet'],
  check: (repository) => [HOLDFAST, 'check', '--read-data', '--vault', repository, '--quiet'],
  prune: (repository) => [HOLDFAST, 'prune', '--keep-last', '2', '--vault', repository, '--quiet'],
}

const PROGRAMS: Program[] = [
  ...(have('restic') ? [restic('restic of Debian', 'restic')] : []),
  ...(existsSync(newer) ? [restic('restic 0.18.1', newer)] : []),
  holdfast,
]

export function repositoryCases(label: string, material: Material, work: string): Case[] {
  const env = { RESTIC_PASSWORD: PASSWORD, HOLDFAST_PASSWORD: PASSWORD }
  const place = (program: Program): string => join(work, `repository of ${program.name}`)
  const changing = join(work, 'changing')
  const out = join(work, 'out')
  const bare = join(work, 'repository without snapshots')
  const quietly = (name: string, run: string[]): void => void measure({ name, run, env }, work)
  const empty = (program: Program): void => {
    // All work with the same key: what it costs to open one is chosen by whoever makes it, and by what else the machine does then.
    const [first = holdfast] = PROGRAMS
    if (!existsSync(bare)) quietly(`${first.name}: init`, first.init(bare))
    rmSync(place(program), { recursive: true, force: true })
    cpSync(bare, place(program), { recursive: true })
  }
  const filled = (program: Program, path = material.path): void => {
    if (existsSync(place(program))) return
    empty(program)
    quietly(`${program.name}: first backup`, program.backup(place(program), path))
  }
  const finish = (): void => {
    for (const path of [...PROGRAMS.map(place), changing, out]) rmSync(path, { recursive: true, force: true })
  }
  /** A new folder each time, none removed before the end: ext4 is slow to use the inodes again of what was just removed. */
  let restores = 0
  const commands = (words: (program: Program) => string[], prepare: (program: Program) => void): Command[] =>
    PROGRAMS.map((program) => ({
      name: program.name,
      run: () => words(program),
      env,
      prepare: () => prepare(program),
    }))

  const cases: Case[] = [
    {
      name: 'repo-first',
      title: `${label}: first backup into a repository`,
      commands: commands(
        (program) => program.backup(place(program), material.path),
        (program) => {
          empty(program)
          warm(material.path)
        },
      ),
    },
    {
      name: 'repo-unchanged',
      title: `${label}: into a repository, nothing changed`,
      commands: commands((program) => program.backup(place(program), material.path), filled),
    },
    {
      name: 'repo-check',
      title: `${label}: check of a repository with all data`,
      commands: commands(
        (program) => program.check(place(program)),
        (program) => {
          filled(program)
          warm(place(program))
        },
      ),
    },
    {
      name: 'repo-restore',
      title: `${label}: restore from a repository`,
      commands: commands(
        (program) => program.restore(place(program), join(out, `${(restores += 1)}`)),
        (program) => {
          filled(program)
          warm(place(program))
          mkdirSync(out, { recursive: true })
        },
      ),
      finish,
    },
  ]
  if (material.files > 1)
    cases.push(
      {
        name: 'repo-changed',
        title: `${label}: into a repository, 1 % of the files changed`,
        commands: commands(
          (program) => program.backup(place(program), changing),
          (program) => {
            if (!existsSync(changing)) cpSync(material.path, changing, { recursive: true, preserveTimestamps: true })
            filled(program, changing)
            change(changing)
          },
        ),
        finish,
      },
      {
        name: 'repo-prune',
        title: `${label}: half of four snapshots pruned`,
        commands: commands(
          (program) => program.prune(place(program)),
          (program) => {
            if (!existsSync(changing)) cpSync(material.path, changing, { recursive: true, preserveTimestamps: true })
            empty(program)
            for (let round = 0; round < 4; round += 1) {
              change(changing)
              quietly(`${program.name}: backup`, program.backup(place(program), changing))
            }
          },
        ),
        finish,
      },
    )
  return cases
}

/** The same hundredth of the files each time, so that all programs find as much to do. */
function change(folder: string): void {
  let n = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    n += 1
    if (n % 100 === 0) writeFileSync(join(entry.parentPath, entry.name), randomBytes(20_000))
  }
}
