/** `BASE.notes.json`: what may change after a backup was made. docs/formats/archive.md §1. */
import { AppError, isAppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import { PROOF_LEVELS, type Proof } from '../model/backup.ts'
import type { Storage } from '../model/storage.ts'
import type { BackupNotes, Cancel } from '../model/vault.ts'
import { encodeSummed, parseSummed } from './manifest.ts'
import { Shape } from './shape.ts'

export const NOTES_SUFFIX = '.notes.json'
const MAX_NOTES = 1024 * 1024

export interface Notes {
  tags?: string[]
  hold?: boolean
  proof?: { level: Proof['level']; at: string }
  /** Why they cannot be believed. There may have been a hold, so there is one until somebody says otherwise. */
  damaged?: AppError
}

export async function readNotes(storage: Storage, key: string, cancel: Cancel = {}): Promise<Notes> {
  const damaged = (problem: string, cause?: unknown): AppError =>
    new AppError('backup.damaged', `the notes ${key} cannot be read: it ${problem}`, {
      cause,
      hint: 'The backup itself is not touched. It is held until it is tagged anew, or its hold is lifted.',
    })
  try {
    return parseNotes(parseSummed(await collect(storage.get(key, cancel), MAX_NOTES), damaged), damaged)
  } catch (error) {
    if (isAppError(error, 'storage.not-found')) return {}
    if (isAppError(error, 'backup.damaged')) return { hold: true, damaged: error }
    throw error
  }
}

function parseNotes(value: object, damaged: (problem: string) => AppError): Notes {
  const shape = new Shape(value, damaged)
  const notes: Notes = {}
  if (shape.raw('tags') !== undefined) notes.tags = shape.texts('tags')
  if (shape.raw('hold') !== undefined) notes.hold = shape.raw('hold') === true
  if (shape.raw('proof') !== undefined) {
    const proof = shape.inner('proof')
    notes.proof = { level: proof.oneOf('level', ...PROOF_LEVELS), at: proof.time('at') }
  }
  return notes
}

/** Notes that cannot be read are replaced: the tags that the manifest tells, and a hold unless the change lifts it. */
export async function changeNotes(
  storage: Storage,
  key: string,
  manifestTags: readonly string[],
  change: BackupNotes,
): Promise<void> {
  const { damaged: _damaged, ...notes } = await readNotes(storage, key)
  const tags = new Set(change.setTags ?? notes.tags ?? manifestTags)
  for (const tag of change.addTags ?? []) tags.add(tag)
  for (const tag of change.removeTags ?? []) tags.delete(tag)
  const next: Notes = {
    ...notes,
    tags: [...tags],
    ...(change.hold !== undefined && { hold: change.hold }),
    ...(change.proof !== undefined && { proof: { level: change.proof.level, at: change.proof.at.toISOString() } }),
  }
  await storage.put(key, encodeSummed(next), { storageClass: 'warm' })
}
