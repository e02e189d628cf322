/** The real restic: Debian's, and a newer one built from its Go module. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { have } from './odd-tree.ts'

export interface Restic {
  name: string
  program: string
}

const newer = process.env['HOLDFAST_TEST_RESTIC']

export const RESTICS: Restic[] = [
  ...(have('restic') ? [{ name: 'restic-debian', program: 'restic' }] : []),
  ...(newer !== undefined && existsSync(newer) ? [{ name: 'restic-newer', program: newer }] : []),
]

export const noRestic: string | false = RESTICS.length === 0 && 'there is no restic here'

export const RESTIC_PASSWORD = 'a password of restic'

/** What it printed; throws when it failed. */
export function restic({ program }: Restic, repository: string, ...args: string[]): string {
  const done = spawnSync(program, ['-r', repository, '--no-cache', ...args], {
    encoding: 'utf8',
    env: { ...process.env, RESTIC_PASSWORD },
    maxBuffer: 64 * 1024 * 1024,
  })
  if (done.status !== 0) throw new Error(`restic ${args.join(' ')} ended with ${done.status}: ${done.stderr}`)
  return done.stdout
}
