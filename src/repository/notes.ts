/**
 * `holdfast/notes/ID`: what may change after a snapshot was made, sealed as the other files are. restic does not look
 * there. docs/formats/repository.md §10.
 */
import { isAppError } from '../base/errors.ts'
import { utf8 } from '../base/bytes.ts'
import { collect } from '../base/streams.ts'
import { PROOF_LEVELS, type Proof } from '../model/backup.ts'
import type { BackupNotes, Cancel } from '../model/vault.ts'
import { isObject, parseObject, textIn, textsIn } from './parse.ts'
import type { OpenRepository } from './repository.ts'
import { decodeUnpacked, encodeUnpacked } from './unpacked.ts'

export const NOTES_FOLDER = 'holdfast/notes/'
const MAX_NOTES = 1024 * 1024

export interface Notes {
  /** Instead of the snapshot's own. */
  tags?: string[]
  hold?: boolean
  proof?: Proof
}

/** Notes that cannot be read may have been a hold: until they are written anew there is one. */
export async function readNotes(repository: OpenRepository, id: string, cancel: Cancel = {}): Promise<Notes> {
  const { storage, key } = repository
  try {
    const bytes = await collect(
      storage.get(NOTES_FOLDER + id, cancel.signal ? { signal: cancel.signal } : {}),
      MAX_NOTES,
    )
    const what = `${NOTES_FOLDER}${id}`
    const object = parseObject(decodeUnpacked(key, bytes, what), what)
    const notes: Notes = {}
    const tags = textsIn(object, 'tags')
    if (tags !== undefined) notes.tags = tags
    if (object['hold'] === true) notes.hold = true
    const { proof } = object
    if (isObject(proof)) {
      const level = PROOF_LEVELS.find((one) => one === proof['level'])
      const at = new Date(textIn(proof, 'at') ?? '')
      if (level !== undefined && !Number.isNaN(at.getTime())) notes.proof = { level, at }
    }
    return notes
  } catch (error) {
    if (isAppError(error, 'storage.not-found')) return {}
    if (isAppError(error, 'backup.damaged')) return { hold: true }
    throw error
  }
}

/** Ids that have notes, so that a list asks for these only. */
export async function notedIds({ storage }: OpenRepository, { signal }: Cancel = {}): Promise<Set<string>> {
  const ids = new Set<string>()
  for await (const { key } of storage.list(NOTES_FOLDER, signal ? { signal } : {}))
    ids.add(key.slice(NOTES_FOLDER.length))
  return ids
}

export async function changeNotes(
  repository: OpenRepository,
  id: string,
  ownTags: readonly string[],
  change: BackupNotes,
): Promise<void> {
  const { tags: before, ...notes } = await readNotes(repository, id)
  const tags = new Set(change.setTags ?? before ?? ownTags)
  for (const tag of change.addTags ?? []) tags.add(tag)
  for (const tag of change.removeTags ?? []) tags.delete(tag)
  const hold = change.hold ?? notes.hold
  const proof = change.proof ?? notes.proof
  const next = {
    tags: [...tags],
    ...(hold !== undefined && { hold }),
    ...(proof && { proof: { level: proof.level, at: proof.at.toISOString() } }),
  }
  const { bytes } = encodeUnpacked(repository.key, repository.config.version, utf8(JSON.stringify(next)))
  await repository.storage.put(NOTES_FOLDER + id, bytes, { storageClass: 'warm' })
}
