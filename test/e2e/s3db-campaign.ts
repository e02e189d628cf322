/** The long form of the oracle: everything with everything, up to 20,000 rows, on an S3 server too where there is one. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { BUCKET, noVersitygw, startVersitygw } from '../servers/s3-servers.ts'
import { randomOf } from '../support/random-s3db.ts'
import { removeFolders } from '../support/s3db.ts'
import { CLIENTS, COMPRESSIONS, DRIVERS, ENCRYPTIONS, oracle, type OracleCase } from './s3db-oracle.ts'

const ROWS = [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 20_000]

export async function s3dbCampaign(
  dir: string,
  rounds: number,
  log: (line: string) => void,
  first = Date.now() % 1e9,
): Promise<{ rounds: number; objects: number; refused: number }> {
  const server = noVersitygw === undefined ? await startVersitygw() : undefined
  const keys = server && {
    accessKeyId: server.env['AWS_ACCESS_KEY_ID'],
    secretAccessKey: server.env['AWS_SECRET_ACCESS_KEY'],
  }
  const sum = { rounds, objects: 0, refused: 0 }
  try {
    for (let round = 0; round < rounds; round += 1) {
      const seed = first + round
      const random = randomOf(seed)
      // Large ones now and then.
      const rows = random.chance(0.05) ? random.pick(ROWS) : random.pick(ROWS.slice(0, 7))
      const one: OracleCase = {
        seed,
        // The client of files takes minutes for thousands of rows.
        from: random.pick(rows > 300 ? (['memory', 'sqlite'] as const) : CLIENTS),
        to: random.pick(rows > 300 ? (['memory', 'sqlite'] as const) : CLIENTS),
        driver: random.pick(DRIVERS),
        compression: random.pick(COMPRESSIONS),
        encryption: random.pick(ENCRYPTIONS),
        rows,
        steps: rows > 1000 ? 2 : 2 + random.below(5),
      }
      const folder = join(dir, String(seed))
      mkdirSync(folder)
      const bucket =
        server && one.driver !== 'filesystem' && random.chance(0.7)
          ? { bucket: BUCKET, endpoint: server.endpoint, ...keys }
          : undefined
      const { objects, refused } = await oracle(one, folder, bucket)
      removeFolders()
      sum.objects += objects
      sum.refused += refused
      log(
        `${seed}: ${one.from} to ${one.to}, ${one.driver}${bucket ? ' (S3)' : ''}, ${one.compression}, ${one.encryption === null ? 'plain' : 'encrypted'}, ${objects} objects`,
      )
    }
    return sum
  } finally {
    await server?.stop()
  }
}
