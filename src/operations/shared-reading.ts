/**
 * One reading of a source for several vaults. They go through the entries in step: the next one is asked for when all
 * have done with the last, so the slowest sets the pace and memory stays bounded. A vault that fails leaves the others to
 * go on. What is dumped is read once and is the same in all of them; small files are read by the threads of each vault,
 * one behind the other, from the system's memory.
 */
import { AppError, toAppError } from '../base/errors.ts'
import type { ByteReader } from '../base/reader.ts'
import type { SourceEntry } from '../model/entry.ts'
import type { Warning } from '../model/progress.ts'
import type { ReadOptions, Source, SourceReading } from '../model/source.ts'
import { blockMemory, sharedContent, type SharedContent } from './shared-content.ts'

/** Files from this size on are read once too; of smaller ones the system still has the bytes. */
const SHARED_FILE = 4 * 1024 * 1024
/** What was told before a vault joined, at most. */
const EARLY = 1000

export interface SharedSource {
  /** The source as one of the vaults sees it. */
  source: Source
  /** It does not read, or no more: the others wait for it no longer. May be called more than once. */
  leave(): void
}

interface Member {
  onWarning?: ReadOptions['onWarning']
  /** It has asked for the next entry. */
  asked: boolean
}

/** For exactly so many vaults that begin together; each has to read or to leave. */
export function shareSource(source: Source, count: number): SharedSource[] {
  const members = new Set<Member>(Array.from({ length: count }, () => ({ asked: false })))
  const ending = new AbortController()
  const warnings: Warning[] = []
  const block = blockMemory()
  let reading: Promise<SourceReading> | undefined
  let iterator: AsyncIterator<SourceEntry> | undefined
  let turn = Promise.withResolvers<IteratorResult<SourceEntry>>()
  let pulling = false
  let content: SharedContent | undefined

  function told(warning: Warning): void {
    if (warnings.length < EARLY) warnings.push(warning)
    for (const { onWarning } of members) onWarning?.(warning)
  }

  /** Goes on to the next entry when all who are still there have asked for it. */
  function advance(): void {
    if (pulling || members.size === 0 || [...members].some(({ asked }) => !asked)) return
    pulling = true
    const mine = turn
    // Nobody may be there any more to hear of it.
    mine.promise.catch(() => undefined)
    void (async () => {
      try {
        if (reading === undefined) throw new Error('entries of a reading that was not begun')
        iterator ??= (await reading).entries()[Symbol.asyncIterator]()
        const next = await iterator.next()
        content = next.done === true ? undefined : contentOf(next.value)
        turn = Promise.withResolvers()
        for (const member of members) member.asked = false
        pulling = false
        mine.resolve(next)
      } catch (error) {
        pulling = false
        mine.reject(toAppError(error, 'source.failed'))
      }
    })()
  }

  const isShared = ({ local, size }: SourceEntry): boolean => local === undefined || size >= SHARED_FILE

  function contentOf(entry: SourceEntry): SharedContent | undefined {
    const { open } = entry
    if (open === undefined || !isShared(entry)) return undefined
    return sharedContent(members, () => open.call(entry), block)
  }

  /** What one of them is given: its own, as opening it may tell more of it. */
  function given(entry: SourceEntry, member: Member): SourceEntry {
    const mine: SourceEntry = { ...entry }
    const learn = (): void => void (entry.xattrs !== undefined && (mine.xattrs = entry.xattrs))
    const { local, open } = entry
    const shared = content
    if (shared === undefined) {
      if (open !== undefined)
        mine.open = () => {
          const opened = open.call(entry)
          if (!(opened instanceof Promise)) learn()
          return opened instanceof Promise ? opened.finally(learn) : opened
        }
      if (local !== undefined)
        mine.local = {
          ...local,
          complete() {
            local.complete()
            learn()
          },
        }
      return mine
    }
    delete mine.local
    let opens = 0
    mine.open = async (): Promise<ByteReader> => {
      opens += 1
      // Whoever wants it twice reads it alone.
      const reader = opens === 1 ? await shared.open(member) : await again(entry, shared, member)
      learn()
      return reader
    }
    return mine
  }

  async function again(entry: SourceEntry, shared: SharedContent, member: Member): Promise<ByteReader> {
    shared.leave(member)
    await shared.closed
    if (entry.open === undefined) throw new AppError('internal.bug', 'this entry has no content')
    return entry.open()
  }

  function leave(member: Member): void {
    if (!members.delete(member)) return
    content?.leave(member)
    if (members.size > 0) return advance()
    ending.abort(new AppError('run.cancelled', 'nobody reads the source any more'))
    void close().catch(() => undefined)
  }

  async function close(): Promise<void> {
    const begun = await reading?.catch(() => undefined)
    if (!pulling) await iterator?.return?.()
    await begun?.close()
  }

  function read(member: Member, { onWarning, signal }: ReadOptions): Promise<SourceReading> {
    member.onWarning = onWarning
    for (const warning of warnings) onWarning(warning)
    reading ??= source.read({ signal: ending.signal, onWarning: told })
    const left = Promise.withResolvers<never>()
    left.promise.catch(() => undefined)
    const abort = (): void => {
      left.reject(toAppError(signal?.reason, 'run.cancelled'))
      leave(member)
    }
    if (signal?.aborted === true) abort()
    else signal?.addEventListener('abort', abort, { once: true })

    async function* entries(): AsyncGenerator<SourceEntry> {
      for (;;) {
        const next = turn.promise
        content?.leave(member)
        member.asked = true
        advance()
        const { done, value } = await Promise.race([next, left.promise])
        if (done === true) return
        yield given(value, member)
      }
    }
    return Promise.race([reading, left.promise]).then((begun) => ({
      entries,
      ...(begun.facts && { facts: () => begun.facts?.() ?? {} }),
      ...(begun.labels && { labels: () => begun.labels?.() ?? {} }),
      async close() {
        signal?.removeEventListener('abort', abort)
        leave(member)
        // The last one hears of what goes wrong.
        if (members.size === 0) await close()
      },
    }))
  }

  return [...members].map((member) => ({
    // A backup of one vault is none of the others'.
    source: {
      ...source,
      builds: count === 1 && source.builds === true,
      read: async (options) => read(member, options),
    },
    leave: () => leave(member),
  }))
}
