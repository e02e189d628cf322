/** `--file`: a backup named by a file of its archive, for those who have the file before their eyes and not the vault. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { AppError } from '../base/errors.ts'

const VAULT = 'holdfast-vault.json'
const MANIFEST = '.manifest.json'

export interface NamedByFile {
  /** The folder of the vault. */
  vault: string
  id: string
}

export function backupOfFile(named: string): NamedByFile {
  const file = resolve(named)
  if (!existsSync(file) || !statSync(file).isFile()) throw new AppError('backup.not-found', `there is no file ${named}`)
  const folder = dirname(file)
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(MANIFEST)) continue
    const { id, parts } = partsOf(join(folder, name))
    if (id !== undefined && (name === basename(file) || parts.includes(basename(file))))
      return { vault: vaultOf(folder), id }
  }
  throw new AppError('backup.not-found', `beside ${named} lies no manifest that tells what is in it`, {
    hint: 'Put the archive back beside its .manifest.json, or bring its files out with tar and load them as docs/formats/database-dumps.md tells.',
  })
}

/** The folder of the vault is above; a copy of single files without it is a vault too. */
function vaultOf(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, VAULT))) return at
    if (at === dirname(at)) return folder
  }
}

function partsOf(path: string): { id?: string; parts: string[] } {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return { parts: [] }
  }
  const id = field(value, 'id')
  const parts = field(field(value, 'payload'), 'parts')
  const names = Array.isArray(parts) ? parts.map((part: unknown) => field(part, 'name')) : []
  return {
    ...(typeof id === 'string' && { id }),
    parts: names.filter((name): name is string => typeof name === 'string'),
  }
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && name in value ? Reflect.get(value, name) : undefined
