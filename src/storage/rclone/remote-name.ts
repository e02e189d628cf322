/** The remote as rclone reads it: `name:path`, or with parameters: `:backend,key=value,key='it''s: quoted':path`. */

/** Parameters whose value is a secret, or is one more often than not: rather one too many. */
const SECRET = /pass|pwd|secret|key|token|sas|auth|cred|cookie|bearer|headers/i

export interface RemoteName {
  /** For people and logs. */
  shown: string
  /** The texts in it that nobody may see. */
  secrets: string[]
}

/** A value in quotes has them doubled inside; one without ends at the next comma or colon. */
const PARAMETER = /,([\w.-]+)(?:=("(?:[^"]|"")*"|'(?:[^']|'')*'|[^,:"'][^,:]*|))?(?=[,:]|$)/y

export function readRemote(remote: string): RemoteName {
  const secrets: string[] = []
  const head = /^:?[^,:/]*/.exec(remote)?.[0] ?? ''
  let shown = head
  let at = head.length
  for (;;) {
    PARAMETER.lastIndex = at
    const found = PARAMETER.exec(remote)
    if (found === null) break
    const [whole, key = '', value] = found
    at += whole.length
    if (value === undefined || value === '' || !SECRET.test(key)) shown += whole
    else {
      secrets.push(value, plainOf(value))
      shown += `,${key}=…`
    }
  }
  const rest = remote.slice(at)
  // What cannot be read may hold anything.
  if (rest.startsWith(',')) return { shown: `${shown}…`, secrets: [...secrets, rest.slice(1)] }
  return { shown: withoutUser(shown) + rest, secrets }
}

const plainOf = (value: string): string =>
  /^["']/.test(value) ? value.slice(1, -1).replaceAll(value.charAt(0).repeat(2), value.charAt(0)) : value

/** `url='https://user:password@host'` */
const withoutUser = (text: string): string => text.replaceAll(/:\/\/[^\s/@'"]*:[^\s/@'"]*@/g, '://…@')
