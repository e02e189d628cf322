// A backup that nobody restored is a hope. This is how to know.
import { S3db } from 's3db.js/lite'
import { BackupPlugin } from 'holdfast'

const db = new S3db({ connectionString: 'memory://shop/validation', logLevel: 'silent' })
await db.connect()
const users = await db.createResource({ name: 'users', attributes: { name: 'string' } })
await users.insert({ id: 'ann', name: 'Ann' })
const backups = new BackupPlugin({ driver: 'filesystem', config: { path: './backups/' } })
await db.usePlugin(backups)
const { id } = await backups.backup('full')
await users.insert({ id: 'ben', name: 'Ben' })
await backups.backup('incremental')

// Each backup exists, has the bytes that were written, restores to a scratch place, and holds all its records.
const report = await backups.validationReport({ limit: 10 })
console.log(`total ${report.totalBackups}, passed ${report.passed}, failed ${report.failed}, errors ${report.errors}`)
for (const { checks, overall, problems } of report.validations) console.log(overall, checks, problems.join())

// A restore into a database of its own, tried first and then done.
const scratch = new S3db({ connectionString: 'memory://scratch/restore-test', logLevel: 'silent' })
await scratch.connect()
const tried = await backups.restore(id, { target: scratch, dryRun: true })
console.log('would restore', tried.restored.map(({ name, recordsRestored }) => `${name}: ${recordsRestored}`).join())
await backups.restore(id, { target: scratch, resources: ['users'], overwrite: true })
console.log('restored', await scratch.resources['users']?.count?.())

// To be asked every hour.
const { ok, problems, hoursOld } = await backups.checkHealth({ maxAgeHours: 25 })
console.log(ok ? 'healthy' : problems, (hoursOld ?? 99) < 1)
await backups.stop()
await scratch.disconnect()
await db.disconnect()
