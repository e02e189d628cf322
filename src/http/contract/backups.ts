/** Backups, what is in them, and bringing it back. */
import * as z from 'zod'
import { backupType, byId, jobName, level, page, paging, time, vaultName, whole } from './fields.ts'
import { route } from './kit.ts'

export const backup = z.strictObject({
  id: z.string(),
  job: jobName,
  vault: vaultName,
  source: z.string(),
  type: backupType,
  time,
  ended: time.optional(),
  parent: z.string().optional(),
  needs: z.array(z.string()),
  tags: z.array(z.string()),
  hold: z.boolean(),
  host: z.string().optional(),
  paths: z.array(z.string()),
  files: z.number().optional(),
  sourceBytes: z.number().optional(),
  storedBytes: z.number().optional(),
  proof: z.strictObject({ level, at: time }),
  warnings: z.number().int(),
  encrypted: z.boolean().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  broken: z.string().optional(),
})

/** A backup may lie in several vaults under one id. */
const inVault = { vault: vaultName.optional().describe('Which one, where several vaults have the backup.') }
const path = z.string().max(4096)

export const item = z.strictObject({
  name: z.string(),
  path: z.string(),
  kind: z.enum(['file', 'dir', 'symlink', 'other']),
  size: z.number().optional(),
  mtime: time.optional(),
  mode: z.number().int().optional(),
  target: z.string().optional().describe('Of a symbolic link.'),
  children: z.number().int().optional().describe('Of a folder.'),
})

const change = z.strictObject({
  path: z.string(),
  change: z.enum(['added', 'removed', 'modified']),
  kind: z.string(),
  sizeBefore: z.number().optional(),
  sizeAfter: z.number().optional(),
})

const restore = z.strictObject({
  backup: z.string().min(1).optional().describe('Or a moment: `job` with `at` or `before`.'),
  vault: vaultName.optional(),
  job: jobName.optional(),
  at: z.string().min(1).max(200).optional().describe('A time, a position of the log, a name, or `latest`.'),
  before: z.string().min(1).max(300).optional().describe('Just before this event of the timeline.'),
  paths: z.array(path).max(10_000).default([]).describe('Files, folders or tables; all of it if empty.'),
  to: z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('folder'), path: z.string().min(1).max(4096) }),
    z.strictObject({ type: z.literal('original') }).describe('Where it came from.'),
    z
      .strictObject({
        type: z.literal('database'),
        database: z.string().max(200).optional().describe('A name for what is restored; a new one by default.'),
        host: z.string().max(300).optional().describe('The server; that of the job by default.'),
        port: z.number().int().min(1).max(65_535).optional(),
        user: z.string().max(200).optional(),
        password: z.string().max(1000).optional(),
        file: z.string().max(4096).optional().describe('Of SQLite: the file.'),
        from: z.string().max(200).optional().describe('Which database of the backup, if there are several.'),
      })
      .describe('Of the kind that the backup is of.'),
  ]),
  overwrite: z.enum(['never', 'if-newer', 'if-changed', 'always']).optional(),
  delete: z.boolean().default(false).describe('Remove from restored folders what the backup does not have.'),
  ownership: z.boolean().optional(),
})

export const backupRoutes = {
  'GET /api/v1/backups': route({
    access: 'read',
    summary: 'Backups that are known, newest first',
    query: z.object({
      ...paging,
      job: jobName.optional(),
      vault: vaultName.optional(),
      tag: z.string().max(100).optional(),
      since: time.optional(),
      until: time.optional(),
    }),
    answer: page(backup),
  }),
  'GET /api/v1/backups/{id}': route({
    access: 'read',
    summary: 'One backup, with its other copies',
    params: byId,
    query: z.object(inVault),
    answer: backup.extend({ copies: z.array(vaultName) }),
  }),
  'PATCH /api/v1/backups/{id}': route({
    access: 'operate',
    summary: 'Hold it, or change its tags',
    params: byId,
    query: z.object(inVault),
    body: z.strictObject({
      hold: z.boolean().optional(),
      addTags: z.array(z.string().min(1).max(100)).max(50).optional(),
      removeTags: z.array(z.string().min(1).max(100)).max(50).optional(),
    }),
    answer: backup,
  }),
  'DELETE /api/v1/backups/{id}': route({
    access: 'delete',
    summary: 'Remove a backup that no other one needs',
    params: byId,
    query: z.object({ ...inVault, confirm: z.string().describe('The id once more.') }),
    answer: z.strictObject({ removed: z.array(z.string()), bytesFreed: z.number() }),
  }),
  'POST /api/v1/backups/{id}/verify': route({
    access: 'operate',
    summary: 'Show how far it restores; a run',
    params: byId,
    query: z.object(inVault),
    body: z.strictObject({ level: level.default('V3') }),
    answer: z.strictObject({ id: z.string() }),
    status: 202,
    idempotent: true,
  }),
  'GET /api/v1/backups/{id}/tree': route({
    access: 'read',
    summary: 'One folder of a backup, in pages',
    params: byId,
    query: z.object({
      ...inVault,
      path: path.default(''),
      cursor: paging.cursor,
      limit: whole(1, 1000).default(250),
      q: z.string().max(300).optional().describe('Search in all that is below the path, by a part of the name.'),
    }),
    answer: z.strictObject({
      path: z.string(),
      items: z.array(item),
      total: z.number().int().describe('In this folder.'),
      next: z.string().optional(),
    }),
  }),
  'GET /api/v1/backups/{id}/tables': route({
    access: 'read',
    summary: 'The tables of a backup of a database, with rows and sizes',
    params: byId,
    query: z.object(inVault),
    answer: z.strictObject({
      items: z
        .array(
          z.strictObject({
            database: z.string(),
            name: z.string().describe('As `paths` of a restore takes it.'),
            rows: z.number().int().optional(),
            bytes: z.number().optional(),
          }),
        )
        .describe('None of a physical backup.'),
    }),
  }),
  'GET /api/v1/backups/{id}/preview': route({
    access: 'restore',
    summary: 'The beginning of a file',
    params: byId,
    query: z.object({ ...inVault, path }),
    stream: 'bytes',
  }),
  'GET /api/v1/backups/{id}/download': route({
    access: 'restore',
    summary: 'A file as it is, or files and folders as one zip or tar',
    description: 'Give `path` several times for several.',
    params: byId,
    query: z.object({
      ...inVault,
      path: z.union([path, z.array(path).max(1000)]).optional(),
      format: z.enum(['raw', 'zip', 'tar']).optional(),
    }),
    stream: 'bytes',
  }),
  'GET /api/v1/backups/{id}/diff': route({
    access: 'read',
    summary: 'What differs between this backup and an earlier one',
    params: byId,
    query: z.object({
      ...inVault,
      with: z.string().max(300).describe('The id of the other one.'),
      cursor: paging.cursor,
      limit: whole(1, 1000).default(250),
    }),
    answer: z.strictObject({
      items: z.array(change),
      added: z.number().int(),
      removed: z.number().int(),
      modified: z.number().int(),
      next: z.string().optional(),
    }),
  }),
  'GET /api/v1/search': route({
    access: 'read',
    summary: 'Paths that hold a text, over all backups of a job; with the versions of each',
    description:
      'Looks for a bounded time: `pending` tells how many backups are still to be looked through; ask again.',
    query: z.object({
      q: z.string().min(1).max(300).optional().describe('A part of the path.'),
      path: path.optional().describe('Exactly this path: its history.'),
      job: jobName.optional(),
      limit: whole(1, 500).default(100),
    }),
    answer: z.strictObject({
      items: z.array(
        z.strictObject({
          path: z.string(),
          job: jobName,
          versions: z.array(
            z.strictObject({
              backup: z.string(),
              vault: vaultName,
              time,
              kind: z.string(),
              size: z.number().optional(),
              mtime: time.optional(),
              same: z.boolean().describe('The same as in the backup before.'),
            }),
          ),
        }),
      ),
      searched: z.number().int(),
      pending: z.number().int(),
      unsearched: z.number().int().describe('Backups that cannot be looked through now; `problems` says why.'),
      problems: z.array(z.string()).describe('One of each vault.'),
    }),
  }),
  'POST /api/v1/restores/plan': route({
    access: 'restore',
    summary: 'What a restore would do: space, rights, what would be replaced',
    body: restore,
    answer: z.strictObject({
      ok: z.boolean(),
      target: z.string(),
      files: z.number().int(),
      bytes: z.number(),
      free: z.number().optional(),
      effects: z.record(z.string(), z.number()),
      replaced: z.array(z.string()).describe('The first hundred.'),
      problems: z.array(z.string()),
      command: z.string().describe('The same on the command line.'),
    }),
  }),
  'POST /api/v1/restores': route({
    access: 'restore',
    summary: 'Restore; a run',
    body: restore,
    answer: z.strictObject({ id: z.string() }),
    status: 202,
    idempotent: true,
    example: { backup: 'full-2026-03-15T14-30-45-abc123', to: { type: 'folder', path: '/srv/restored' } },
  }),
}

export type RestoreBody = z.output<typeof restore>
