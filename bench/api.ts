/** How fast the API answers: its pages with many jobs, many people at once, and folders of a backup of a million files. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { millionFiles } from './million.ts'

const JOBS = 1000
const RUNS_EACH = 10
const READERS = 200
const WRITERS = 20
const MIB = 1024 ** 2

const PAGES = [
  'overview?timezone=Europe/Berlin',
  'jobs?limit=100',
  'runs?limit=50',
  'backups?limit=50',
  'alerts?open=true',
  'stats',
  'vaults',
  'schedules',
]

export async function apiFigures(dir: string, seconds: number): Promise<string> {
  const child = fork(
    join(import.meta.dirname, 'api-server.ts'),
    [dir, String(JOBS), String(RUNS_EACH), String(READERS + WRITERS)],
    { stdio: 'inherit' },
  )
  try {
    const [{ url, tokens }] = (await once(child, 'message')) as [{ url: string; tokens: string[] }]
    const get = async (path: string, token: string, init: RequestInit = {}): Promise<number> => {
      const start = performance.now()
      const response = await fetch(`${url}/api/v1/${path}`, {
        ...init,
        headers: { authorization: `Bearer ${token}`, ...init.headers },
      })
      await response.arrayBuffer()
      if (!response.ok) throw new Error(`${path}: ${response.status}`)
      return performance.now() - start
    }
    const pages: string[] = []
    for (const path of PAGES) {
      const first = await get(path, tokens[0] ?? '')
      const again: number[] = []
      for (let n = 0; n < 20; n += 1) again.push(await get(path, tokens[n] ?? ''))
      pages.push(`${path.split('?')[0]} ${first.toFixed(0)}/${percentile(again, 0.5).toFixed(0)} ms`)
    }
    const load = await people(url, tokens, child, seconds, get)
    return [
      `the API with ${JOBS} jobs and ${JOBS * RUNS_EACH} runs, first/median of 20 (goal 200 ms): ${pages.join(', ')}`,
      load,
      await millionFiles(dir),
    ].join('\n')
  } finally {
    child.disconnect()
    await once(child, 'exit')
  }
}

type Get = (path: string, token: string, init?: RequestInit) => Promise<number>

async function people(url: string, tokens: string[], child: ChildProcess, seconds: number, get: Get): Promise<string> {
  const stop = new AbortController()
  const times: number[] = []
  let events = 0
  const until = performance.now() + seconds * 1000
  const listening = tokens.slice(0, READERS).map(async (token) => {
    const response = await fetch(`${url}/api/v1/events`, {
      headers: { authorization: `Bearer ${token}` },
      signal: stop.signal,
    })
    for await (const chunk of response.body ?? [])
      events +=
        Buffer.from(chunk as Uint8Array)
          .toString()
          .split('\nevent:').length - 1
  })
  const reading = tokens.slice(0, READERS).map(async (token, n) => {
    await sleep(Math.random() * 4000)
    while (performance.now() < until) {
      times.push(await get(PAGES[n % PAGES.length] ?? '', token))
      await sleep(2000 + Math.random() * 4000)
    }
  })
  const writing = tokens.slice(READERS).map(async (token, n) => {
    for (let k = 0; performance.now() < until; k += 1) {
      const name = encodeURIComponent(`job ${String(n).padStart(5, '0')}`)
      const init = { method: 'POST', headers: { 'content-type': 'application/json' } }
      if (k % 2 === 0) times.push(await get(`jobs/${name}/pause`, token, { ...init, body: '{}' }))
      else times.push(await get(`jobs/${name}/resume`, token, init))
      await sleep(500 + Math.random() * 1000)
    }
  })
  await sleep((seconds * 1000) / 4)
  const early = await memoryOf(child)
  await Promise.all([...reading, ...writing])
  const late = await memoryOf(child)
  stop.abort()
  await Promise.allSettled(listening)
  return (
    `${READERS} readers with events and ${WRITERS} writers for ${seconds} s: ${times.length} calls, ${events} events, ` +
    `median ${percentile(times, 0.5).toFixed(0)} ms, p99 ${percentile(times, 0.99).toFixed(0)} ms (goal 100); ` +
    `memory of the server ${early} MiB after a quarter, ${late} MiB at the end`
  )
}

async function memoryOf(child: ChildProcess): Promise<number> {
  child.send('memory')
  const [{ rss }] = (await once(child, 'message')) as [{ rss: number }]
  return Math.round(rss / MIB)
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
