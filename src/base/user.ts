/** Who we are to the system. In containers a user may have a number only: neither a name nor a home. */
import { homedir, userInfo } from 'node:os'

export function homeFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env['HOME']) return env['HOME']
  try {
    return homedir()
  } catch {
    return '/'
  }
}

export function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'somebody')
  }
}
