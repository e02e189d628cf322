/** Servers refuse to run as root; what they need is a user that may do nothing else. */
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppError } from '../base/errors.ts'

const NOBODY = { uid: 65_534, gid: 65_534 }

/** Undefined: as we are. */
export const scratchUser = (): { uid: number; gid: number } | undefined =>
  process.getuid?.() === 0 ? NOBODY : undefined

/** Another user has to come through every folder on the way. */
export function refuseClosed(folder: string, user: { uid: number } | undefined): void {
  if (user === undefined) return
  for (let at = folder; at !== dirname(at); at = dirname(at))
    if ((statSync(at).mode & 0o001) === 0)
      throw new AppError('target.denied', `a scratch server runs as another user, who may not enter ${at}`, {
        hint: `chmod o+x ${at}, or name another folder with --scratch.`,
      })
}
