import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Names of users or groups by number and back, remembered: a tree has a hundred thousand files and three owners. */
export interface Names {
  name(id: number): string | undefined
  id(name: string): number | undefined
}

/** Directories such as LDAP are asked through `getent`, a process each time: not for more than this many ids. */
const MOST_QUESTIONS = 200

function namesOf(file: string, database: string): Names {
  const byId = new Map<number, string | undefined>()
  const byName = new Map<string, number | undefined>()
  let questions = 0

  const learn = (text: string): void => {
    for (const line of text.split('\n')) {
      const [name, , id] = line.split(':')
      if (name === undefined || name === '' || id === undefined || !/^\d+$/.test(id)) continue
      // The first line of a number or name counts, as for getpwuid(3).
      if (!byId.has(Number(id))) byId.set(Number(id), name)
      if (!byName.has(name)) byName.set(name, Number(id))
    }
  }
  const ask = (key: string): void => {
    questions += 1
    if (questions > MOST_QUESTIONS || !/^[\w][\w.@$ -]*$/.test(key)) return
    const answer = spawnSync('getent', [database, key], { encoding: 'utf8', timeout: 5000 })
    if (answer.status === 0) learn(answer.stdout)
  }
  try {
    learn(readFileSync(file, 'utf8'))
  } catch {
    // No such file: numbers only.
  }
  return {
    name(id) {
      if (!byId.has(id)) {
        ask(String(id))
        if (!byId.has(id)) byId.set(id, undefined)
      }
      return byId.get(id)
    },
    id(name) {
      if (!byName.has(name)) {
        ask(name)
        if (!byName.has(name)) byName.set(name, undefined)
      }
      return byName.get(name)
    },
  }
}

export interface Accounts {
  users: Names
  groups: Names
}

/** The accounts of this machine as they are now. */
export const readAccounts = (): Accounts => ({
  users: namesOf('/etc/passwd', 'passwd'),
  groups: namesOf('/etc/group', 'group'),
})
