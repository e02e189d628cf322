/** One full backup of a database of files, and the most memory that this process had. Arguments: folder, vault. */
import { open } from '../src/library/open.ts'
import { openClient, s3db } from '../src/sources/s3db/source.ts'
import { folder } from '../test/support/s3db.ts'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ObjectClient } from '../src/sources/s3db/object-client.ts'

const [base = '', vault = ''] = process.argv.slice(2)
const lite = pathToFileURL(join(folder(), 'node_modules/s3db.js/dist/lite.js')).href
const { FileSystemClient } = (await import(lite)) as { FileSystemClient: new (options: object) => ObjectClient }
const client = new FileSystemClient({ basePath: base, logLevel: 'silent' })
const started = performance.now()
await using holdfast = await open({ version: 1, server: { dataDir: `${vault}-state` } }, { env: {} })
const { files } = await holdfast.backup({ source: s3db(openClient(client)), job: 'memory', vault, type: 'full' })
const seconds = Math.round((performance.now() - started) / 100) / 10
console.log(JSON.stringify({ files, seconds, rss: Math.round(process.resourceUsage().maxRSS / 1024) }))
process.exit()
