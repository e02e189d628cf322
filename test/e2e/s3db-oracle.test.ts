import { randomInt } from 'node:crypto'
import { after, test } from 'node:test'
import { pluginFolder } from '../support/s3db-plugin.ts'
import { closeDatabases, noS3db, removeFolders } from '../support/s3db.ts'
import { CLIENTS, COMPRESSIONS, DRIVERS, ENCRYPTIONS, oracle } from './s3db-oracle.ts'

after(async () => {
  await closeDatabases()
  removeFolders()
})

const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? randomInt(1e9))

// The long form: npm run campaign -- s3db N
for (const [row, from] of CLIENTS.entries())
  for (const [column, to] of CLIENTS.entries()) {
    const at = row * CLIENTS.length + column
    const driver = DRIVERS[(row + column) % DRIVERS.length] ?? 'filesystem'
    const compression = COMPRESSIONS[at % COMPRESSIONS.length] ?? 'gzip'
    const encryption = ENCRYPTIONS[at % ENCRYPTIONS.length] ?? null
    const how = `${driver}, ${compression}, ${encryption === null ? 'plain' : 'encrypted'}`
    test(
      `driver:s3db a random database and its changes come back exactly, ${from} to ${to} (${how}, seed ${seed})`,
      { skip: noS3db },
      async (t) => {
        await oracle(
          { seed: seed + at, from, to, driver, compression, encryption, rows: 24, steps: 3 },
          pluginFolder(t),
        )
      },
    )
  }

test(
  `driver:s3db a random database of hundreds of rows comes back exactly (seed ${seed})`,
  { skip: noS3db },
  async (t) => {
    const many = { driver: 'filesystem', compression: 'zstd', encryption: null, rows: 300, steps: 2 } as const
    await oracle({ seed, from: 'sqlite', to: 'memory', ...many }, pluginFolder(t))
  },
)
