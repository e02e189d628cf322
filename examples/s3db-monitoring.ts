import { S3db } from 's3db.js/lite'
import { BackupPlugin } from 'holdfast'

const db = new S3db({ connectionString: 'memory://shop/monitoring', logLevel: 'silent' })
await db.connect()
const users = await db.createResource({ name: 'users', attributes: { name: 'string' } })
await users.insert({ id: 'ann', name: 'Ann' })

const backups = new BackupPlugin({
  driver: 'filesystem',
  config: { path: './backups/' },
  // Hooks are waited for: one that throws keeps the backup from starting.
  onBackupStart: async (type, { backupId }) => console.log(`starting ${type} backup, ${backupId.length} letters`),
  onBackupComplete: async (type, stats) => console.log(`${type} done in ${typeof stats.duration} ms`),
  onBackupError: async (type, { error }) => console.log(`${type} failed: ${error?.message}`),
})
backups.on('backup_start', ({ type }: { type: string }) => console.log('event: start', type))
backups.on('backup_complete', ({ type }: { type: string }) => console.log('event: complete', type))
backups.on('backup_error', ({ error }: { error: string }) => console.log('event: error', error.length > 0))
backups.on('restore_complete', ({ restored }: { restored: unknown[] }) =>
  console.log('event: restored', restored.length),
)
backups.on('warning', ({ message }: { message: string }) => console.log('event: warning', message))
await db.usePlugin(backups)

const { id } = await backups.backup('full')
await backups.restore(id)
await backups.backup('full', { resources: ['nobody'] }).catch(() => undefined)
await backups.stop()
await db.disconnect()
