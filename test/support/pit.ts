/** What the tests of points in time have in common. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createApp } from '../../src/app.ts'
import { isAppError } from '../../src/base/errors.ts'
import { loadConfig } from '../../src/config/load.ts'
import { timelineOf as look } from '../../src/operations/timeline.ts'
import { parseStorageUrl } from '../../src/storage/open.ts'
import type { Holdfast } from './holdfast.ts'

export interface ShownTimeline {
  windows: { from: string; to: string; backups: string[] }[]
  gaps: { from: string; to: string }[]
  events: { id: string; kind: string; what: string; time: string; rows?: number; restorable: boolean }[]
  segments: number
}

export const pause = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export async function until(what: string, reached: () => boolean | Promise<boolean>, ms = 120_000): Promise<void> {
  for (const end = Date.now() + ms; !(await reached()); await pause(50))
    if (Date.now() > end) throw new Error(`it did not come: ${what}`)
}

/** In this process: asked again and again, as a command of its own it would take more time than what is waited for. */
export async function timelineOf({ dir }: Pick<Holdfast, 'dir'>, job: string): Promise<ShownTimeline> {
  const { settings } = await loadConfig({ cwd: dir, env: {}, parseStorageUrl })
  await using app = createApp(settings, { silent: true })
  const nothing = { windows: [], gaps: [], events: [], segments: 0 }
  const vault = await app.vault('v').catch((error: unknown) => {
    if (isAppError(error, 'vault.not-found')) return undefined
    throw error
  })
  const shown = vault === undefined ? nothing : await look(vault, job, new Date())
  return JSON.parse(JSON.stringify(shown)) as ShownTimeline
}

/** A lane in a process of its own, once it has its first window. */
export async function startLane(hf: Holdfast, job: string, ...args: string[]): Promise<ReturnType<Holdfast['start']>> {
  const lane = hf.start(['lane', job, '--seal', '300ms', ...args])
  await until('the vault', () => existsSync(join(hf.dir, 'vault')) || lane.child.exitCode !== null)
  return lane
}
