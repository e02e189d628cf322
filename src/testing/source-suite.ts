/**
 * The conformance suite of sources. One joins in a few lines:
 *
 *     sourceSuite('my source', { open: () => mySource(settings) })
 *
 * Each test is a promise of model/source.ts. The data must not change while the suite runs.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { comparePaths } from '../base/paths.ts'
import { readFully, streamOfReader } from '../base/reader.ts'
import type { SourceEntry } from '../model/entry.ts'
import type { Source, SourceReading } from '../model/source.ts'

export interface SourceSuiteOptions {
  /** The source under test, with a few entries of content at least; called once. */
  open(): Source | Promise<Source>
  close?(): void | Promise<void>
  /** Why it cannot be tested here. Every test is then skipped by name. */
  unavailable?: string | undefined
  /** name of a check → why this source cannot keep it. A name that is no check fails. */
  except?: Partial<Record<SourceCheckName, string>>
}

const KINDS = ['file', 'directory', 'symlink', 'fifo', 'chardev', 'blockdev', 'socket']

interface Seen {
  path: string
  kind: string
  size: number
  hash?: string
}

const CHECKS = {
  identity: 'it names itself and its data, and looks without reading',
  order: 'entries come in path order, folders before what is in them, each path once',
  fields: 'entries are what the contract says',
  content: 'a file gives as many bytes as it says, in pieces of any size',
  again: 'what was closed can be opened again until the next entry is asked for',
  repeatable: 'two readings of the same data give the same',
  skipping: 'content that nobody opens hinders nothing',
  facts: 'facts and labels are plain data',
  cancelled: 'a signal that was aborted before ends a reading with run.cancelled',
  'cancelled-midway': 'a signal that is aborted midway ends the entries',
  'closed-early': 'a reading may be closed before its entries have ended',
} as const

export type SourceCheckName = keyof typeof CHECKS

export function sourceSuite(title: string, options: SourceSuiteOptions): void {
  const { unavailable, except = {} } = options
  const unknown = Object.keys(except).filter((name) => !(name in CHECKS))
  assert.deepEqual(unknown, [], `${title}: exceptions from checks that do not exist`)

  describe(title, () => {
    let source: Source
    before(async () => {
      if (unavailable === undefined) source = await options.open()
    })
    after(async () => {
      if (unavailable === undefined) await options.close?.()
    })
    const check = (name: SourceCheckName, body: () => Promise<void>): void =>
      void test(`${title}: ${CHECKS[name]}`, { skip: unavailable ?? except[name] ?? false, timeout: 120_000 }, body)

    check('identity', async () => {
      assert.match(source.type, /^[a-z][a-z0-9-]*$/)
      assert.ok(source.name.length > 0 && source.paths.length > 0)
      for (const { name, detail } of await source.test({})) assert.ok(name.length > 0 && typeof detail === 'string')
    })

    check('order', async () => {
      const folders = new Set<string>()
      let last: string | undefined
      for (const { path, kind } of await all(source)) {
        if (last !== undefined) assert.ok(comparePaths(last, path) < 0, `${path} comes after ${last}`)
        last = path
        if (kind === 'directory') folders.add(path)
        else assert.ok(!folders.has(path))
      }
      assert.ok(last !== undefined, 'there are entries')
    })

    check('fields', async () => {
      await reading(source, async (entry) => {
        const { path, kind, mode, mtime, size, linkTarget } = entry
        assert.ok(path !== '' && !path.startsWith('/') && !path.split('/').includes('..'), path)
        assert.ok(KINDS.includes(kind), kind)
        assert.ok(Number.isInteger(mode) && mode >= 0 && mode <= 0o7777, `${path}: mode ${mode}`)
        assert.ok(Number.isInteger(mtime.s) && Number.isInteger(mtime.ns) && mtime.ns >= 0 && mtime.ns < 1e9, path)
        assert.ok(Number.isSafeInteger(size) && size >= 0, `${path}: size ${size}`)
        if (kind !== 'file') assert.deepEqual([size, entry.open], [0, undefined], path)
        else assert.ok(entry.open !== undefined || entry.hardlink !== undefined, `${path} has no content`)
        if (kind === 'symlink') assert.equal(typeof linkTarget, 'string', path)
      })
    })

    check('content', async () => {
      let files = 0
      await reading(source, async (entry) => {
        if (entry.open === undefined) return
        files += 1
        const reader = await entry.open()
        const expected = reader.size ?? (entry.sizeUnknown === true ? undefined : contentSize(entry))
        let total = 0
        const piece = Buffer.alloc(1 + (files % 7) * 1000)
        for (let count = await readFully(reader, piece); count > 0; count = await readFully(reader, piece))
          total += count
        await reader.close()
        await reader.close()
        if (expected !== undefined) assert.equal(total, expected, entry.path)
      })
      assert.ok(files > 0, 'there is content')
    })

    check('again', async () => {
      let tried = 0
      await reading(source, async (entry) => {
        if (entry.open === undefined || tried > 20) return
        tried += 1
        const first = await entry.open()
        await first.read(Buffer.alloc(1))
        await first.close()
        assert.equal(await hashOf(entry), await hashOf(entry), entry.path)
      })
    })

    check('repeatable', async () => assert.deepEqual(await all(source, true), await all(source, true)))

    check('skipping', async () => {
      const names = (await all(source)).map(({ path }) => path)
      assert.deepEqual(
        (await all(source, true)).map(({ path }) => path),
        names,
      )
    })

    check('facts', async () => {
      const opened = await open(source)
      try {
        for await (const entry of opened.entries()) void entry
        const facts = opened.facts?.() ?? {}
        assert.deepEqual(JSON.parse(JSON.stringify(facts)), facts)
        for (const value of Object.values(opened.labels?.() ?? {})) assert.equal(typeof value, 'string')
      } finally {
        await opened.close()
      }
    })

    check('cancelled', async () => {
      const failed = await open(source, AbortSignal.abort()).then(
        async (opened) => {
          try {
            for await (const entry of opened.entries()) void entry
            return undefined
          } catch (error) {
            return error
          } finally {
            await opened.close()
          }
        },
        (error: unknown) => error,
      )
      assert.ok(isCancelled(failed), `it ended with ${String(failed)}`)
    })

    check('cancelled-midway', async () => {
      const abort = new AbortController()
      const opened = await open(source, abort.signal)
      try {
        const count = (await all(source)).length
        let seen = 0
        await assert.rejects(async () => {
          for await (const entry of opened.entries()) {
            void entry
            seen += 1
            abort.abort()
          }
          // One entry is over before a signal can be looked at.
          if (count === 1) abort.signal.throwIfAborted()
        }, isCancelled)
        assert.ok(seen <= count)
      } finally {
        await opened.close()
      }
    })

    check('closed-early', async () => {
      const opened = await open(source)
      for await (const entry of opened.entries()) {
        void entry
        break
      }
      await opened.close()
      const unread = await open(source)
      await unread.close()
    })
  })
}

const open = async (source: Source, signal?: AbortSignal): Promise<SourceReading> =>
  source.read({
    ...(signal && { signal }),
    onWarning: ({ code, message }) => {
      if (code !== 'note') assert.fail(`warning: ${message}`)
    },
  })

async function reading(source: Source, see: (entry: SourceEntry) => Promise<void>): Promise<void> {
  const opened = await open(source)
  try {
    for await (const entry of opened.entries()) await see(entry)
  } finally {
    await opened.close()
  }
}

async function all(source: Source, withContent = false): Promise<Seen[]> {
  const seen: Seen[] = []
  await reading(source, async (entry) => {
    const { path, kind, size } = entry
    seen.push({ path, kind, size, ...(withContent && entry.open && { hash: await hashOf(entry) }) })
  })
  return seen
}

async function hashOf(entry: SourceEntry): Promise<string> {
  const hash = createHash('sha256')
  const reader = await entry.open?.()
  if (reader !== undefined) for await (const chunk of streamOfReader(reader)) hash.update(chunk)
  return hash.digest('hex')
}

const contentSize = ({ size, extents }: SourceEntry): number =>
  extents === undefined ? size : extents.reduce((sum, [, length]) => sum + length, 0)

const isCancelled = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'AbortError' || ('code' in error && error.code === 'run.cancelled'))
