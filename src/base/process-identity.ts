/**
 * Who we are, so that another process can tell whether we still live. Process ids are only compared within one boot of
 * one machine and one process namespace: in containers the same id means somebody else.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

export interface ProcessIdentity {
  host: string
  /** Boot and process namespace; undefined where the platform does not tell. */
  space?: string
  pid: number
  /** Start time of the process, in the kernel's ticks: a pid that is used again has another. */
  started?: string
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

/** Field 22 of /proc/PID/stat, counted after the command name, which may hold spaces. */
function startTime(pid: number): string | undefined {
  return attempt(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  })
}

let own: ProcessIdentity | undefined

export function processIdentity(): ProcessIdentity {
  if (own !== undefined) return own
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim())
  const namespace = attempt(() => readlinkSync('/proc/self/ns/pid'))
  own = { host: hostname(), pid: process.pid }
  if (boot !== undefined && namespace !== undefined) own.space = `${boot} ${namespace}`
  const started = startTime(process.pid)
  if (started !== undefined) own.started = started
  return own
}

/** `unknown` when the process runs, or ran, where we cannot look. */
export function processState(other: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
  const here = processIdentity()
  if (other.host !== here.host) return 'unknown'
  if (other.space !== undefined && here.space !== undefined && other.space !== here.space) {
    // Another boot of this machine is over; another namespace of this boot may live.
    const [boot] = other.space.split(' ')
    return here.space.startsWith(`${boot} `) ? 'unknown' : 'dead'
  }
  try {
    process.kill(other.pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM' ? 'alive' : 'dead'
  }
  const started = startTime(other.pid)
  return started !== undefined && other.started !== undefined && started !== other.started ? 'dead' : 'alive'
}

export const instanceId = (): string => randomUUID()
