/** What the user of a backup may do, and the statements that give what it lacks. */
import type { Connection } from './connection.ts'
import { identifier } from './sql-text.ts'

export interface Lack {
  privilege: string
  /** What is not in a backup without it. */
  loses: string
  fix: string
  /** The data is all there without it. */
  harmless: boolean
}

interface Granted {
  scope: string
  privileges: Set<string>
}

/** `GRANT SELECT, RELOAD ON *.* TO …`: those of the user and of the roles that are on. */
export function parseGrants(lines: readonly string[]): Granted[] {
  return lines.flatMap((line) => {
    const found = /^GRANT (.+?) ON (\S+|`.*?`\.\S+) TO /.exec(line)
    if (found === null) return []
    const privileges = (found[1] ?? '').replaceAll(/\([^)]*\)/g, '').split(',')
    return [
      {
        scope: (found[2] ?? '').replaceAll('`', ''),
        privileges: new Set(privileges.map((text) => text.trim().toUpperCase())),
      },
    ]
  })
}

function may(granted: readonly Granted[], privilege: string, scope: string): boolean {
  return granted.some(
    ({ scope: at, privileges }) =>
      (at === '*.*' || at.replaceAll('\\', '') === scope) &&
      (privileges.has(privilege) || privileges.has('ALL PRIVILEGES') || privileges.has('ALL')),
  )
}

export async function lacks(connection: Connection, databases: readonly string[], routines: boolean): Promise<Lack[]> {
  const granted = parseGrants((await connection.query('SHOW GRANTS')).map(([line]) => line ?? ''))
  const [[who = ''] = []] = await connection.query('SELECT CURRENT_USER()')
  const [user = '', host = ''] = who.split(/@(?=[^@]*$)/)
  const account = `${identifier(user)}@${identifier(host)}`
  const [[logBin] = []] = await connection.query('SELECT @@log_bin')
  const found: Lack[] = []
  const need = (privilege: string, scope: string, loses: string): void => {
    if (may(granted, privilege, scope)) return
    const on = scope === '*.*' ? scope : `${identifier(scope.slice(0, -2))}.*`
    found.push({
      privilege,
      loses,
      harmless: scope === '*.*' || scope === 'mysql.*',
      fix: `GRANT ${privilege} ON ${on} TO ${account};`,
    })
  }
  for (const database of databases) {
    need('SELECT', `${database}.*`, `tables of ${database} that this user may not read do not even show`)
    need('SHOW VIEW', `${database}.*`, `views of ${database}`)
    if (!routines) continue
    need('TRIGGER', `${database}.*`, `triggers of ${database}`)
    need('EVENT', `${database}.*`, `events of ${database}`)
  }
  need('RELOAD', '*.*', 'one connection reads instead of several')
  if (logBin === '1')
    need(connection.mariadb ? 'BINLOG MONITOR' : 'REPLICATION CLIENT', '*.*', 'the position in the binary log')
  if (routines || databases.length > 1) need('SELECT', 'mysql.*', 'users, and routines of others')
  return found
}
