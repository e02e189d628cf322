/** What the tests of points in time have in common. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Holdfast } from './holdfast.ts'

export interface ShownTimeline {
  windows: { from: string; to: string; backups: string[] }[]
  gaps: { from: string; to: string }[]
  events: { id: string; kind: string; what: string; rows?: number; restorable: boolean }[]
  segments: number
}

export const pause = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export async function until(what: string, reached: () => boolean | Promise<boolean>, ms = 30_000): Promise<void> {
  for (const end = Date.now() + ms; !(await reached()); await pause(150))
    if (Date.now() > end) throw new Error(`it did not come: ${what}`)
}

export async function timelineOf(hf: Holdfast, job: string): Promise<ShownTimeline> {
  const [first] = await hf.json<ShownTimeline[]>(['timeline', job, '--json'])
  return first as ShownTimeline
}

/** A lane in a process of its own, once it has its first window. */
export async function startLane(hf: Holdfast, job: string, ...args: string[]): Promise<ReturnType<Holdfast['start']>> {
  const lane = hf.start(['lane', job, '--seal', '300ms', ...args])
  await until('the vault', () => existsSync(join(hf.dir, 'vault')) || lane.child.exitCode !== null)
  return lane
}
