/** A source whose log is what a test gives it. */
import type { Job } from '../../src/model/job.ts'
import type { FollowOptions, LanePiece, LaneReading, LaneSource } from '../../src/model/lane.ts'

export interface ScriptedLane extends LaneSource {
  /** Where each reading began, oldest first. */
  readonly begun: (string | undefined)[]
  readonly acknowledged: string[]
}

/** Each reading gives the pieces of `readings` in turn, and waits for the signal where they end; `end`: it ends there. */
export function scriptedLane(
  readings: (options: FollowOptions, count: number) => AsyncIterable<LanePiece>,
): ScriptedLane {
  const begun: (string | undefined)[] = []
  const acknowledged: string[] = []
  return {
    engine: 'sqlite',
    name: 'scripted',
    copies: true,
    begun,
    acknowledged,
    async follow(options): Promise<LaneReading> {
      begun.push(options.after?.position)
      return {
        system: 'test',
        from: options.after?.position ?? 'g1-0',
        time: new Date(0),
        pieces: () => readings(options, begun.length),
        acknowledge: async (position) => void acknowledged.push(position),
        close: async () => {},
      }
    },
  }
}

export const piece = (number: number, bytes: Uint8Array, more: Partial<LanePiece> = {}): LanePiece => ({
  bytes,
  to: `g1-${number}`,
  firstTime: new Date(1_700_000_000_000 + number),
  lastTime: new Date(1_700_000_000_000 + number),
  ...more,
})

/** Rejects when the signal aborts, as sources do. */
export const untilAborted = async (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => {
    if (signal?.aborted === true) reject(signal.reason)
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

/** A job that follows a log, into a vault of that name. */
export const laneJob = (vault: string): Job => ({
  name: 'shop',
  enabled: true,
  continuous: true,
  source: { type: 'files', paths: ['/'] },
  vaults: [vault],
  type: 'auto',
  verify: { afterBackup: 'V0', assert: [] },
  notify: [],
  hooks: { before: [], after: [], onFailure: [] },
  tags: [],
  labels: [],
})
