/** Programs are started `detached`, as leaders of a group: what they start themselves ends with them. */
import type { ChildProcess } from 'node:child_process'

export function endGroup(child: ChildProcess, by: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, by)
  } catch {
    child.kill(by)
  }
}
