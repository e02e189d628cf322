import { S3db } from 's3db.js/lite'
import { BackupPlugin } from 'holdfast'

const db = new S3db({ connectionString: 'memory://shop/security', logLevel: 'silent' })
await db.connect()
const users = await db.createResource({ name: 'users', attributes: { name: 'string' } })
await users.insert({ id: 'ann', name: 'Ann' })

const withKey = (key: string): BackupPlugin =>
  new BackupPlugin({
    driver: 'filesystem',
    config: { path: './backups/' },
    encryption: {
      algorithm: 'AES-256-GCM',
      key,
      keyDerivation: {
        algorithm: 'PBKDF2',
        iterations: 600_000,
        salt: process.env['BACKUP_SALT'] ?? 'backup-salt-2024',
      },
    },
    verification: true,
    compression: 'gzip',
  })

const backups = withKey(process.env['BACKUP_ENCRYPTION_KEY'] ?? 'correct horse battery staple')
await db.usePlugin(backups)
const { id } = await backups.backup('full')
const [made] = await backups.listBackups()
console.log('encrypted:', made?.encrypted, made?.path?.endsWith('.tar.gz.enc'))

const wrong = withKey('a key that was mistyped')
await wrong.install(db)
await wrong
  .restore(id)
  .catch((error: { code: string; suggestion: string }) => console.log(error.code, error.suggestion))

await users.delete('ann')
await backups.restore(id)
console.log((await users.get('ann')).name)
await wrong.stop()
await backups.stop()
await db.disconnect()
