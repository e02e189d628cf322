import { S3db } from 's3db.js/lite'
import { BackupPlugin } from 'holdfast'

// In production: s3://ACCESS_KEY:SECRET_KEY@BUCKET/databases/myapp
const db = new S3db({ connectionString: 'memory://shop/myapp', logLevel: 'silent' })
await db.connect()
const users = await db.createResource({ name: 'users', attributes: { name: 'string|required' } })
const posts = await db.createResource({ name: 'posts', attributes: { title: 'string|required' } })
await users.insert({ id: 'ann', name: 'Ann' })
await posts.insert({ id: 'first', title: 'First' })

const backups = new BackupPlugin({
  driver: 'filesystem',
  config: { path: './backups/{date}/', compression: 'gzip' },
  retention: { daily: 7, weekly: 4, monthly: 12 },
})
await db.usePlugin(backups)

const full = await backups.backup('full', { metadata: { project: 'v2.0' } })
console.log(`full: ${full.size > 0 ? 'stored' : 'empty'}, sha256 ${full.checksum.length} digits`)

await users.update('ann', { name: 'Anna' })
await posts.delete('first')
const incremental = await backups.backup('incremental')
await backups.backup('selective', { resources: ['users'] })
await backups.backup('weekly-snapshot')

for (const { type, resources, status } of await backups.listBackups({ limit: 10 }))
  console.log(type, resources.join(), status)

// Something differs, so nothing is written unless it is said to be replaced.
await backups.restore(full.id).catch((error: Error) => console.log(error.message.split(' is ')[0]))
const { restored } = await backups.restore(full.id, { overwrite: true })
console.log(restored)
console.log((await users.get('ann')).name, (await posts.get('first')).title)

await backups.restore(incremental.id, { mode: 'replace', resources: ['users'] })
const status = await backups.getBackupStatus(incremental.id)
console.log(status?.type, 'builds on', status?.parent === full.id ? 'the full one' : status?.parent)

console.log('removed by retention:', (await backups.cleanupBackups()).count)
await backups.stop()
await db.disconnect()
