/** One command in a process of its own: its time, and what it and all its children used. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Figures {
  /** Seconds. */
  wall: number
  /** Seconds of all processors, user and system. */
  cpu: number
  /** Of the largest process. */
  mebibytes: number
}

export interface Command {
  name: string
  /** A program and its arguments, or a line for the shell. */
  run: string | readonly string[] | (() => readonly string[])
  env?: Record<string, string>
  /** Before each run; not measured. */
  prepare?: () => void
}

/** GNU time: it adds up the children that were waited for. */
const TIME = '/usr/bin/time'

export function measure(command: Command, folder: string): Figures {
  command.prepare?.()
  const out = join(folder, 'time')
  const run = typeof command.run === 'function' ? command.run() : command.run
  const line = typeof run === 'string' ? ['sh', '-c', run] : run
  const result = spawnSync(TIME, ['-o', out, '-f', '%e %U %S %M', ...line], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, TMPDIR: folder, LC_ALL: 'C', ...command.env },
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  if (result.error !== undefined) throw result.error
  if (result.status !== 0) throw new Error(`${command.name} failed: ${result.stderr}`)
  const [wall = 0, user = 0, system = 0, kib = 0] = readFileSync(out, 'utf8').trim().split(/\s+/).map(Number)
  return { wall, cpu: user + system, mebibytes: kib / 1024 }
}

/** Takes turns, so that what else the machine does hits all alike; gives the runs of each. */
export function compare(commands: readonly Command[], runs: number, folder: string): Figures[][] {
  const all = commands.map((): Figures[] => [])
  for (let run = 0; run < runs; run += 1) {
    for (const [at, command] of commands.entries()) {
      const figures = measure(command, folder)
      all[at]?.push(figures)
      console.error(`  ${command.name}: ${figures.wall.toFixed(2)} s, ${figures.cpu.toFixed(2)} s of processor`)
    }
  }
  return all
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

export function medians(runs: readonly Figures[]): Figures {
  const of = (key: keyof Figures): number => median(runs.map((figures) => figures[key]))
  return { wall: of('wall'), cpu: of('cpu'), mebibytes: Math.max(...runs.map(({ mebibytes }) => mebibytes)) }
}
