import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { type ApiError, problemOf } from './api.ts'
import { onLive } from './live.ts'

export interface Loaded<T> {
  data: T | undefined
  etag: string | undefined
  error: ApiError | undefined
  /** Something is on its way: the first answer, or a newer one. */
  loading: boolean
  reload(): void
}

type Ask<T> = (signal: AbortSignal) => Promise<{ data: T; etag?: string }>

/** At most so often is something asked for again, however many events come. */
const PAUSE_MS = 700

/**
 * Asks when shown, when `deps` change, and when an event comes whose name begins with one of `on`. What was there stays
 * shown until the new answer comes, unless `deps` changed.
 */
export function useLoad<T>(ask: Ask<T>, deps: readonly unknown[], on: readonly string[] = []): Loaded<T> {
  const state = useSignal<Omit<Loaded<T>, 'reload'>>({
    data: undefined,
    etag: undefined,
    error: undefined,
    loading: true,
  })
  const latest = useRef(ask)
  latest.current = ask
  const again = useRef<() => void>(() => {})

  useEffect(() => {
    let abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const start = async (): Promise<void> => {
      abort.abort()
      const mine = (abort = new AbortController())
      state.value = { ...state.peek(), loading: true }
      try {
        const { data, etag } = await latest.current(mine.signal)
        if (!mine.signal.aborted) state.value = { data, etag, error: undefined, loading: false }
      } catch (error) {
        if (!mine.signal.aborted) state.value = { ...state.peek(), error: problemOf(error), loading: false }
      }
    }
    state.value = { data: undefined, etag: undefined, error: undefined, loading: true }
    void start()
    again.current = () => void start()
    const stop = onLive((name) => {
      if (timer !== undefined || !(name === 'reset' || on.some((beginning) => name.startsWith(beginning)))) return
      timer = setTimeout(() => {
        timer = undefined
        void start()
      }, PAUSE_MS)
    })
    return () => {
      stop()
      clearTimeout(timer)
      abort.abort()
    }
  }, [...deps])

  return { ...state.value, reload: () => again.current() }
}

interface Page<T> {
  items: T[]
  next?: string
}

export interface Pages<T> {
  items: T[] | undefined
  error: ApiError | undefined
  loading: boolean
  /** Absent when everything is there. */
  more: (() => void) | undefined
  reload(): void
}

/** A list in pages: `more` adds the next one. An event shows the first page anew when that is all that is shown. */
export function usePages<T>(
  ask: (cursor: string | undefined, signal: AbortSignal) => Promise<{ data: Page<T> }>,
  deps: readonly unknown[],
  on: readonly string[] = [],
): Pages<T> {
  const further = useSignal<{ items: T[]; next: string | undefined } | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const busy = useSignal(false)
  const first = useLoad(
    async (signal) => {
      const answer = await ask(undefined, signal)
      return { data: answer.data }
    },
    deps,
    on,
  )
  const key = JSON.stringify(deps)
  const shown = useRef(key)
  if (shown.current !== key) {
    shown.current = key
    further.value = undefined
  }
  const next = further.value === undefined ? first.data?.next : further.value.next
  const more = async (): Promise<void> => {
    if (busy.peek() || next === undefined) return
    busy.value = true
    try {
      const { data } = await ask(next, AbortSignal.timeout(60_000))
      if (shown.current === key)
        further.value = { items: [...(further.peek()?.items ?? []), ...data.items], next: data.next }
      error.value = undefined
    } catch (thrown) {
      error.value = problemOf(thrown)
    }
    busy.value = false
  }
  return {
    items: first.data && [...first.data.items, ...(further.value?.items ?? [])],
    error: first.error ?? error.value,
    loading: first.loading || busy.value,
    more: next === undefined ? undefined : () => void more(),
    reload: () => {
      further.value = undefined
      first.reload()
    },
  }
}
