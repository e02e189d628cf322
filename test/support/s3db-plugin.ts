/** The plugin in a database with two resources, for its tests. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { BackupPlugin, type BackupPluginOptions } from '../../src/s3db-plugin/index.ts'
import { freshConnection, openDatabase, type Database } from './s3db.ts'

export function pluginFolder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-plugin-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

export async function sampleDatabase(kind: 'memory' | 'file' | 'sqlite' = 'memory'): Promise<Database> {
  const db = await openDatabase(freshConnection(kind))
  await fill(db)
  return db
}

export async function fill(db: Database): Promise<void> {
  const users = await db.createResource({
    name: 'users',
    timestamps: true,
    asyncPartitions: false,
    attributes: { name: 'string|required', region: 'string|optional' },
    partitions: { byRegion: { fields: { region: 'string' } } },
  })
  await users.insert({ id: 'a', name: 'Ann', region: 'EU' })
  await users.insert({ id: 'b', name: 'Ben', region: 'US' })
  const posts = await db.createResource({ name: 'posts', attributes: { title: 'string' } })
  await posts.insert({ id: 'p', title: 'First' })
}

export async function installed(t: TestContext, db: Database, options: BackupPluginOptions): Promise<BackupPlugin> {
  const plugin = await db.usePlugin(new BackupPlugin(options))
  t.after(() => plugin.stop())
  return plugin
}
