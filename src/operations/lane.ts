/** Follows the log of a source and stores it in segments: docs/decisions/0010-lanes.md. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { toAppError, type ErrorCode } from '../base/errors.ts'
import type { LaneSource, SegmentFacts } from '../model/lane.ts'
import type { ReportWarning } from '../model/progress.ts'
import type { Vault } from '../model/vault.ts'
import { chainsOf, type Chain } from '../policy/lane-chain.ts'
import { lineageOf, type NamedSegment } from '../policy/lane-names.ts'
import { comparePositions } from '../policy/lane-positions.ts'
import { storeReading } from './lane-store.ts'
import { readSegment, readSegmentNames, shortSystem } from './segments.ts'

export interface Lane {
  job: string
  source: LaneSource
  vaults: readonly Vault[]
  /** What was committed is stored after so long at most. */
  sealMs: number
}

export interface LaneState {
  /** `waiting`: the source or a vault does not answer; it is tried again. */
  state: 'following' | 'waiting'
  position?: string
  /** Everything committed until then is stored. */
  until?: Date
  problem?: string
}

export interface LaneOptions {
  signal: AbortSignal
  onWarning: ReportWarning
  onState?: (state: LaneState) => void
  /** See FollowOptions. */
  onSlot?: (message: string | undefined) => void
  /** The log does not go on: points in time need a new backup. `first`: there was none before. */
  onNewLineage?: (why: { first: boolean; message: string }) => void
}

const TAIL_BYTES = 64 * 1024
const WAITS_MS = [500, 1000, 2000, 5000, 10_000, 30_000]
/** Trying again changes nothing. */
const FINAL: readonly ErrorCode[] = [
  'source.unsupported',
  'source.no-program',
  'config.invalid',
  'usage.invalid',
  'internal.bug',
]

/** Works until the signal aborts. Rejects only where trying again cannot help. */
export async function followLane(clock: Clock, lane: Lane, options: LaneOptions): Promise<void> {
  const { signal, onState, onNewLineage } = options
  let failures = 0
  let anew: string | undefined
  while (!signal.aborted) {
    try {
      await followOnce(clock, lane, {
        ...options,
        ...(anew !== undefined && { anew }),
        onStored: () => {
          failures = 0
          anew = undefined
        },
        onNewLineage: (why) => onNewLineage?.(anew === undefined ? why : { first: false, message: anew }),
      })
    } catch (thrown) {
      if (signal.aborted) return
      const error = toAppError(thrown)
      if (FINAL.includes(error.code)) throw error
      if (error.code === 'lane.gap' && anew === undefined) {
        anew = error.message
        continue
      }
      onState?.({ state: 'waiting', problem: error.message })
      await clock.sleep(WAITS_MS[Math.min(failures, WAITS_MS.length - 1)] as number, signal).catch(() => undefined)
      failures += 1
    }
  }
}

interface OnceOptions extends LaneOptions {
  /** Why the log before is not gone on from. */
  anew?: string
  /** Something is in every vault. */
  onStored: () => void
}

async function followOnce(clock: Clock, lane: Lane, options: OnceOptions): Promise<void> {
  const { signal, onWarning } = options
  const last = await lastStored(lane, signal)
  const goesOn = last !== undefined && options.anew === undefined
  const reading = await lane.source.follow({
    ...(goesOn && {
      after: { system: last.facts.system, position: last.facts.to, tail: last.tail, extra: last.facts.extra },
    }),
    signal,
    onWarning,
    ...(options.onSlot && { onSlot: options.onSlot }),
  })
  try {
    const lineage = goesOn
      ? last.facts.lineage
      : lineageOf(shortSystem(reading.system), clock.now(), randomBytes(3).toString('hex'))
    if (!goesOn) options.onNewLineage?.({ first: last === undefined, message: options.anew ?? 'the lane begins here' })
    const until = goesOn ? last.until : reading.time
    await storeReading(clock, lane, reading, { lineage, begins: !goesOn, until, ...options })
  } finally {
    await reading.close()
  }
}

interface LastStored {
  facts: SegmentFacts
  tail: Uint8Array
  until: Date
}

/** Where to go on: where every vault has everything. A vault that has nothing yet gets what comes from now on. */
async function lastStored({ job, source, vaults }: Lane, signal: AbortSignal): Promise<LastStored | undefined> {
  const { engine } = source
  let least: { vault: Vault; chain: Chain; segment: NamedSegment } | undefined
  for (const vault of vaults) {
    const chain = newestChain(engine, await readSegmentNames(vault, job, { signal }))
    const segment = chain?.segments.at(-1)
    if (chain === undefined || segment === undefined) continue
    const order = least === undefined ? -1 : comparePositions(engine, chain.to, least.chain.to)
    const newer = least !== undefined && chain.lineage !== least.chain.lineage && chain.began > least.chain.began
    if (newer || (least?.chain.lineage !== chain.lineage ? least === undefined : (order ?? 0) < 0))
      least = { vault, chain, segment }
  }
  if (least === undefined) return undefined
  const { facts, payload } = await readSegment(least.vault, job, least.segment, { signal })
  const tail = payload.subarray(Math.max(0, payload.length - TAIL_BYTES), payload.length)
  payload.close?.()
  return { facts, tail, until: least.chain.until }
}

export function newestChain(engine: string, segments: readonly NamedSegment[]): Chain | undefined {
  const chains = chainsOf(engine, segments).filter((chain) => chain.segments.length > 0)
  return chains.reduce<Chain | undefined>((best, chain) => {
    if (best === undefined || chain.began > best.began) return chain
    return chain.began.getTime() === best.began.getTime() && chain.until > best.until ? chain : best
  }, undefined)
}
