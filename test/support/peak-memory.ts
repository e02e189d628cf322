/** The most memory that a process has had, looked at while it runs. */
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'

const LOOK_MS = 20

/** In MiB. The kernel keeps the peak: only what comes after the last look is missed. Undefined: it keeps none here. */
export function peakMemory({ pid, exitCode }: ChildProcess): () => number | undefined {
  let most: number | undefined
  const look = (): void => {
    try {
      const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
      if (kib !== undefined) most = Number(kib) / 1024
    } catch {
      clearInterval(timer)
    }
  }
  const timer = setInterval(look, LOOK_MS).unref()
  if (exitCode === null) look()
  return () => {
    look()
    return most
  }
}
