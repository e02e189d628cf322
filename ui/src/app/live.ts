/** One stream of events for the page. Whoever shows something subscribes to the events that change it. */
import { effect, signal } from '@preact/signals'
import { me } from './api.ts'
import { apiBase } from './router.ts'

const NAMES = [
  'run.created',
  'run.stage',
  'run.progress',
  'run.finished',
  'job.changed',
  'alert.opened',
  'alert.changed',
  'alert.closed',
  'vault.changed',
  'backup.added',
  'backup.removed',
] as const

export type LiveName = (typeof NAMES)[number] | 'reset'
type Listener = (name: LiveName, data: Record<string, unknown>) => void

const listeners = new Set<Listener>()
const RETRY_MS = [1000, 2000, 4000, 8000]

/** False while the server cannot be reached: what is shown may be old. */
export const connected = signal(true)

/** Calls back on events, and with `reset` when some may have been missed. Gives how to stop. */
export function onLive(listener: Listener): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function tell(name: LiveName, data: Record<string, unknown>): void {
  for (const listener of listeners) listener(name, data)
}

function parse(text: unknown): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(String(text))
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

function connect(): () => void {
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let tries = 0
  let ended = false
  const open = (): void => {
    source = new EventSource(`${apiBase}/api/v1/events?topics=run,job,alert,vault,backup`)
    source.addEventListener('open', () => {
      // A new stream does not say what was missed before: everything is asked for again.
      if (!connected.peek()) tell('reset', {})
      connected.value = true
      tries = 0
    })
    source.addEventListener('error', () => {
      connected.value = false
      if (source?.readyState !== EventSource.CLOSED || ended) return
      timer = setTimeout(open, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)])
      tries += 1
    })
    for (const name of [...NAMES, 'reset'] as const)
      source.addEventListener(name, (event) => tell(name, parse((event as MessageEvent<unknown>).data)))
  }
  open()
  return () => {
    ended = true
    clearTimeout(timer)
    source?.close()
    connected.value = true
  }
}

// While somebody is signed in.
let stop: (() => void) | undefined
effect(() => {
  const who = me.value?.name
  stop?.()
  stop = who === undefined ? undefined : connect()
})
