/** Files of `locks/`: who works on the repository. docs/formats/repository.md §9. */
import { hostname } from 'node:os'
import { utf8, type Bytes } from '../base/bytes.ts'
import { goJson, goJsonString } from './go-text.ts'
import { parseGoTime } from './go-time.ts'
import { userName } from '../base/user.ts'
import { countIn, damaged, isObject, parseObject, textIn } from './parse.ts'
import { processIdentity, type ProcessIdentity } from '../base/process-identity.ts'

export interface LockFile {
  time: Date
  exclusive: boolean
  hostname: string
  username: string
  pid: number
  uid?: number
  gid?: number
  /** Ours tell more, which restic ignores: see base/process-identity.ts. */
  holdfast?: { space?: string; started?: string }
}

export function newLockFile(exclusive: boolean, now: Date): LockFile {
  const { space, started, pid } = processIdentity()
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0]
  return {
    time: now,
    exclusive,
    hostname: hostname(),
    username: userName(),
    pid,
    uid,
    gid,
    holdfast: { ...(space !== undefined && { space }), ...(started !== undefined && { started }) },
  }
}

export function encodeLock(lock: LockFile): Uint8Array {
  const { time, exclusive, hostname: host, username, pid, uid = 0, gid = 0, holdfast } = lock
  let json = `{"time":"${time.toISOString()}","exclusive":${exclusive},"hostname":${goJsonString(host)}`
  json += `,"username":${goJsonString(username)},"pid":${pid}`
  if (uid !== 0) json += `,"uid":${uid}`
  if (gid !== 0) json += `,"gid":${gid}`
  if (holdfast !== undefined) json += `,"holdfast":${goJson(holdfast)}`
  return utf8(`${json}}`)
}

export function parseLock(bytes: Bytes, what: string): LockFile {
  const object = parseObject(bytes, what)
  const time = parseGoTime(textIn(object, 'time') ?? '')
  if (time === undefined) throw damaged(what, 'its time is none')
  const lock: LockFile = {
    time: new Date(time.s * 1000 + time.ns / 1e6),
    exclusive: object['exclusive'] === true,
    hostname: textIn(object, 'hostname') ?? '',
    username: textIn(object, 'username') ?? '',
    pid: countIn(object, 'pid') ?? 0,
  }
  for (const name of ['uid', 'gid'] as const) {
    const value = countIn(object, name)
    if (value !== undefined) lock[name] = value
  }
  const own = object['holdfast']
  if (isObject(own)) {
    const [space, started] = [textIn(own, 'space'), textIn(own, 'started')]
    lock.holdfast = { ...(space !== undefined && { space }), ...(started !== undefined && { started }) }
  }
  return lock
}

/** Its process as process-identity.ts compares them. */
export function ownerOf({ hostname: host, pid, holdfast }: LockFile): ProcessIdentity {
  return { host, pid, ...holdfast }
}
