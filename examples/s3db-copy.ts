// From production to staging: some resources only, and nothing of production is touched.
import { S3db } from 's3db.js/lite'
import { BackupPlugin } from 'holdfast'

const connect = async (connectionString: string): Promise<S3db> => {
  const db = new S3db({ connectionString, logLevel: 'silent' })
  await db.connect()
  return db
}

const production = await connect('memory://production/shop')
for (const name of ['products', 'customers']) {
  const resource = await production.createResource({ name, attributes: { name: 'string' } })
  await resource.insertMany([{ name: 'one' }, { name: 'two' }])
}
const options = { driver: 'filesystem' as const, config: { path: './handover/' } }
const from = new BackupPlugin({ ...options, exclude: ['customers'] })
await production.usePlugin(from)
const { id } = await from.backup('full')

const staging = await connect('memory://staging/shop')
const to = new BackupPlugin(options)
await staging.usePlugin(to)
await to.restore(id, { overwrite: true })
console.log(Object.keys(staging.resources).join(), await staging.resources['products']?.count?.())
for (const plugin of [from, to]) await plugin.stop()
for (const db of [production, staging]) await db.disconnect()
