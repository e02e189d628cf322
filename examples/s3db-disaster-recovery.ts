// Two destinations; then the database and the first of them are lost.
import { rmSync } from 'node:fs'
import { S3db } from 's3db.js/lite'
import { BackupPlugin, type BackupPluginOptions } from 'holdfast'

const options: BackupPluginOptions = {
  driver: 'multi',
  config: {
    strategy: 'all', // 'any': one success will do; 'priority': the first that works
    concurrency: 2,
    destinations: [
      { driver: 'filesystem', config: { path: './nas/{date}/' } },
      // In production: { driver: 's3', config: { bucket: 'remote-backups', path: 'myapp/{date}/', storageClass: 'STANDARD_IA' } }
      { driver: 'filesystem', config: { path: './remote/{date}/' } },
    ],
  },
  retention: { daily: 30, weekly: 12, monthly: 24, yearly: 7 },
}

const production = new S3db({ connectionString: 'memory://shop/production', logLevel: 'silent' })
await production.connect()
const users = await production.createResource({ name: 'users', attributes: { name: 'string' } })
await users.insert({ id: 'ann', name: 'Ann' })
const before = new BackupPlugin(options)
await production.usePlugin(before)
const { driverInfo } = await before.backup('full')
console.log('copies:', Array.isArray(driverInfo) ? driverInfo.length : 1)
await before.stop()
await production.disconnect()

rmSync('./nas', { recursive: true })

// Elsewhere, with nothing but the options: the list of backups comes from the destinations themselves.
const recovered = new S3db({ connectionString: 'memory://elsewhere/recovered', logLevel: 'silent' })
await recovered.connect()
const after = new BackupPlugin(options)
await recovered.usePlugin(after)
const [latest] = await after.listBackups({ limit: 1 })
console.log(latest?.status, '-', latest?.error)
await after.restore(latest?.id ?? '')
console.log((await recovered.resources['users']?.get?.('ann'))?.name)
await after.stop()
await recovered.disconnect()
