/** s3db.js itself, as far as the tests use it, and what a database holds by its own words. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { s3dbFolder } from '../../scripts/test-tools.ts'
import { bodyOf } from '../../src/sources/s3db/fetch.ts'
import type { ObjectClient } from '../../src/sources/s3db/object-client.ts'
import { headOf } from '../../src/sources/s3db/object-format.ts'

/** Why s3db.js cannot be tested here, if it cannot. */
export const noS3db: string | undefined = existsSync(join(folder(), 'node_modules/s3db.js'))
  ? undefined
  : 's3db.js is not there (HOLDFAST_TEST_S3DB)'

export function folder(): string {
  return process.env['HOLDFAST_TEST_S3DB'] ?? s3dbFolder()
}

export interface Resource {
  insert(row: Record<string, unknown>): Promise<{ id: string }>
  insertMany(rows: Record<string, unknown>[]): Promise<unknown>
  update(id: string, change: Record<string, unknown>): Promise<unknown>
  delete(id: string): Promise<unknown>
  get(id: string): Promise<Record<string, unknown>>
  getAll(): Promise<Record<string, unknown>[]>
  count(): Promise<number>
  setContent(content: { id: string; buffer: Buffer; contentType: string }): Promise<unknown>
  content(id: string): Promise<{ buffer: Buffer; contentType: string }>
  updateAttributes?(attributes: Record<string, unknown>): unknown
  listPartition?(partition: Record<string, unknown>): Promise<Record<string, unknown>[]>
  list(options: Record<string, unknown>): Promise<Record<string, unknown>[]>
}

export interface Database {
  client: ObjectClient & { getAllKeys(options: { prefix: string }): Promise<string[]> }
  plugins: Record<string, unknown>
  resources: Record<string, Resource>
  connect(): Promise<void>
  disconnect(): Promise<void>
  createResource(definition: Record<string, unknown>): Promise<Resource>
  usePlugin<Plugin>(plugin: Plugin, name?: string): Promise<Plugin>
  uninstallPlugin(name: string): Promise<void>
  uploadMetadataFile?(): Promise<unknown>
}

interface Library {
  S3db: new (options: Record<string, unknown>) => Database
  MemoryClient: { clearBucketStorage(bucket: string): void }
}

export interface UpstreamPlugin {
  backup(type: string): Promise<{ id: string }>
}

const load = async (file: string): Promise<unknown> =>
  import(pathToFileURL(join(folder(), 'node_modules/s3db.js/dist', file)).href)

type Verify = (password: string, stored: string) => Promise<boolean>

/** Whether a password is the one of which s3db.js stored a hash. */
export const s3dbPasswords = async (): Promise<Verify> =>
  ((await load('concerns/password-hashing.js')) as { verifyPassword: Verify }).verifyPassword

export const s3dbLibrary = async (): Promise<Library> => (await load('lite.js')) as Library

/** The plugin that comes with it, to compare with. */
export async function upstreamPlugin(options: Record<string, unknown>): Promise<UpstreamPlugin> {
  const { BackupPlugin } = (await load('plugins/backup.plugin.js')) as {
    BackupPlugin: new (options: Record<string, unknown>) => UpstreamPlugin
  }
  return new BackupPlugin(options)
}

const open: Database[] = []

export async function openDatabase(connectionString: string, options: Record<string, unknown> = {}): Promise<Database> {
  const { S3db } = await s3dbLibrary()
  const database = new S3db({ connectionString, logLevel: 'silent', security: { passphrase: 'test' }, ...options })
  await database.connect()
  open.push(database)
  return database
}

/** It leaves handlers of signals behind, and swallows errors, until it is disconnected. */
export async function closeDatabases(): Promise<void> {
  for (const database of open.splice(0)) await database.disconnect()
}

const folders: string[] = []
let count = 0

/** A place for a database of its own. */
export function freshConnection(kind: 'memory' | 'file' | 'sqlite'): string {
  count += 1
  if (kind === 'memory') return `memory://test-${process.pid}-${count}/app`
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-s3db-'))
  folders.push(dir)
  return kind === 'file' ? `file://${dir}/data` : `sqlite://${dir}/data.sqlite`
}

export function removeFolders(): void {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true })
}

export type RawObjects = Map<string, { head: unknown; body: string }>

/** Every object by the client's own listing, references of partitions too. */
export async function rawObjects(client: Database['client'], resources: string[] = []): Promise<RawObjects> {
  const keys = new Set(await client.getAllKeys({ prefix: '' }))
  for (const name of resources)
    for (const key of await client.getAllKeys({ prefix: `resource=${name}/partition=` })) keys.add(key)
  const objects: RawObjects = new Map()
  for (const key of [...keys].sort()) {
    const object = await client.getObject(key)
    objects.set(key, { head: headOf(object), body: (await bodyOf(object, key)).toString('base64') })
  }
  return objects
}
