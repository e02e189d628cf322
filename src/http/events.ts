/** Server-sent events, from the table that the catalogue's triggers fill: whichever process changes something, all hear of it. */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '../base/errors.ts'
import { redact } from '../base/redact.ts'
import type { StoredEvent } from '../model/server-store.ts'
import { SECURITY_HEADERS } from './answer.ts'
import type { Api } from './handler.ts'
import { logTail } from './run-log.ts'
import { backupShown } from './views/backups.ts'
import { jobShort, seeJobs, type JobsSeen } from './views/jobs.ts'
import { runShort } from './views/runs.ts'
import { vaultShort } from './views/vaults.ts'

const POLL_MS = 250
const HEARTBEAT_MS = 10_000
const BATCH = 500
const KEPT_FRAMES = 1000
/** Events that are kept for those who come back. */
export const KEPT_EVENTS = 5000

/** One look at the table, and one rendering of what is new, for all who listen. */
interface Shared {
  newest: number
  lookedAt: number
  /** What comes after an event, until there is more: most listeners are at the same. */
  after: Map<number, StoredEvent[]>
  frames: Map<number, string | undefined>
}

const shared = new WeakMap<Api, Shared>()

function sharedOf(api: Api): Shared {
  const known: Shared = shared.get(api) ?? { newest: 0, lookedAt: -Infinity, after: new Map(), frames: new Map() }
  shared.set(api, known)
  return known
}

function newestOf(api: Api): number {
  const look = sharedOf(api)
  const now = performance.now()
  if (now - look.lookedAt > POLL_MS / 2) {
    const newest = api.app.history().server.events.newest()
    if (newest !== look.newest) look.after.clear()
    look.newest = newest
    look.lookedAt = now
  }
  return look.newest
}

function batchAfter(api: Api, last: number): StoredEvent[] {
  const { after } = sharedOf(api)
  const batch = after.get(last) ?? api.app.history().server.events.after(last, BATCH)
  after.set(last, batch)
  return batch
}

interface Options {
  query: { topics?: string | undefined; run?: string | undefined; after?: string | undefined }
  request: IncomingMessage
  response: ServerResponse
  signal: AbortSignal
}

export async function streamEvents(api: Api, { query, request, response, signal }: Options): Promise<void> {
  const { events } = api.app.history().server
  const topics = query.topics?.split(',').map((one) => one.trim())
  const wants = (type: string): boolean =>
    topics === undefined || type === 'reset' || topics.some((topic) => type.startsWith(topic))
  const asked = request.headers['last-event-id'] ?? query.after
  let last = events.newest()
  let reset = false
  if (typeof asked === 'string') {
    const id = Number(asked)
    if (!Number.isSafeInteger(id) || id < 0) throw new AppError('request.invalid', 'Last-Event-ID is none of ours')
    // Of another catalogue, or older than what is kept: whoever asks has to read all anew.
    reset = id > last || id < events.oldest() - 1
    if (!reset) last = id
  }
  response.writeHead(200, {
    ...SECURITY_HEADERS,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  const send = async (text: string): Promise<void> => {
    if (!response.write(text)) await once(response, 'drain', { signal })
  }
  const runId = query.run
  const tail = runId === undefined ? undefined : logTail(() => runOf(api, runId))
  try {
    await send(`retry: 2000\n: ${new Date().toISOString()}\n\n`)
    if (reset) await send(frame('reset', {}, last))
    let beaten = performance.now()
    while (!signal.aborted) {
      if (newestOf(api) > last) {
        const batch = batchAfter(api, last)
        last = batch.at(-1)?.id ?? newestOf(api)
        const wanted = newestOfEach(batch).filter(({ type }) => wants(type))
        const text = framesOf(api, wanted)
        if (text !== '') await send(text)
        // Who comes back must not get these again, although nothing of them was for it.
        if (wanted.length === 0 && batch.length > 0) await send(`id: ${last}\n\n`)
      }
      if (tail !== undefined)
        for await (const lines of tail.lines())
          await send(frame('run.log', { id: runId, lines: lines.map((line) => parsedLine(line)) }))
      if (performance.now() - beaten > HEARTBEAT_MS) {
        beaten = performance.now()
        await send(': still here\n\n')
      }
      await delay(POLL_MS, undefined, { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await tail?.close()
  }
  response.end()
}

/** Of several that say the same of the same thing the last: what is told is how it is now. */
function newestOfEach(batch: readonly StoredEvent[]): StoredEvent[] {
  const kept = new Map<string, StoredEvent>()
  for (const event of batch) {
    const key = `${event.type} ${event.key}`
    kept.delete(key)
    kept.set(key, event)
  }
  return [...kept.values()]
}

/** Rendered once, however many listen. */
function framesOf(api: Api, batch: readonly StoredEvent[]): string {
  const { frames } = sharedOf(api)
  let all = ''
  let seen: JobsSeen | undefined
  for (const event of batch) {
    if (!frames.has(event.id)) {
      if (event.type.startsWith('job') || event.type.startsWith('vault')) seen ??= seeJobs(api)
      const data = dataOf(api, event, seen)
      frames.set(event.id, data === undefined ? undefined : frame(event.type, data, event.id))
      if (frames.size > KEPT_FRAMES) frames.delete(frames.keys().next().value ?? 0)
    }
    const text = frames.get(event.id)
    if (text !== undefined) all += text
  }
  return all
}

function dataOf(api: Api, { type, key }: StoredEvent, seen: JobsSeen | undefined): unknown {
  const { app } = api
  const catalogue = app.history()
  if (type.startsWith('run.')) {
    const run = catalogue.run(key)
    return run && { ...runShort(run), stage: run.stages.at(-1)?.stage }
  }
  if (type.startsWith('alert.')) return catalogue.incidents.find(key)
  if (type.startsWith('backup.')) {
    const [vault = '', id = ''] = key.split('\n')
    const [backup] = type === 'backup.added' ? catalogue.backupsPage({ vault, id, limit: 1 }) : []
    return backup === undefined ? { vault, id } : backupShown(backup)
  }
  const name = key.replace(/\/$/, '')
  if (type === 'job.changed') {
    const job = app.settings.jobs[name]
    return job === undefined || seen === undefined ? { name, removed: true } : jobShort(api, job, seen)
  }
  if (type === 'vault.changed') {
    const vault = app.settings.vaults[name]
    return vault === undefined || seen === undefined ? { name, removed: true } : vaultShort(api, vault, seen)
  }
  return { name }
}

function runOf(api: Api, id: string) {
  const run = api.app.history().run(id)
  if (run === undefined) throw new AppError('request.not-found', `there is no run ${id}`)
  return run
}

function parsedLine(line: string): unknown {
  try {
    return JSON.parse(redact(line))
  } catch {
    return { level: 'info', msg: redact(line) }
  }
}

const frame = (type: string, data: unknown, id?: number): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
