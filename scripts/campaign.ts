/** `npm run campaign -- NAME [rounds]`: the long forms of what the suite runs short. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepareTools } from './test-tools.ts'

type Campaign = (dir: string, rounds: number) => Promise<string>

const CAMPAIGNS: Record<string, [rounds: number, run: Campaign]> = {
  kill: [
    500,
    async (dir, rounds) => {
      const { killSweep } = await import('../test/faults/kill-sweep.ts')
      const done = await killSweep(dir, rounds, console.log)
      return `${done.rounds} rounds, ${done.killed} killed, ${done.finished} finished before the kill, ${done.backupsAtEnd} backups left: all restore, nothing was repaired by hand`
    },
  ],
  service: [
    200,
    async (dir, rounds) => {
      const { serviceSweep } = await import('../test/faults/service-sweep.ts')
      const done = await serviceSweep(dir, rounds, { log: console.log })
      return `${done.kills} killed, ${done.slots} due times: ${done.done} done, ${JSON.stringify(done.others)}; nothing overlapped, every backup is there`
    },
  ],
  /** The same over PostgreSQL, with four workers. */
  shared: [
    200,
    async (dir, rounds) => {
      const { serviceSweep } = await import('../test/faults/service-sweep.ts')
      const { startPostgres } = await import('../test/servers/postgres.ts')
      const { sweptCatalogue } = await import('../test/support/catalogues.ts')
      const server = await startPostgres()
      try {
        const done = await serviceSweep(dir, rounds, { log: console.log, catalogue: sweptCatalogue(server) })
        return `${done.kills} times something was killed, crashed or cut, ${done.slots} due times: ${done.done} done, ${JSON.stringify(done.others)}; nothing overlapped, every backup is there`
      } finally {
        await server.stop()
      }
    },
  ],
  repository: [
    1000,
    async (dir, rounds) => {
      const { repositorySweep } = await import('../test/faults/repository-sweep.ts')
      const { RESTICS } = await import('../test/support/restic.ts')
      const done = await repositorySweep(dir, rounds, RESTICS.at(-1), console.log)
      return `${done.rounds} rounds, ${done.killed} killed, ${done.snapshotsAtEnd} snapshots left: all restore, nothing was unlocked or repaired by hand, restic finds nothing wrong`
    },
  ],
  interleave: [
    200,
    async (dir, rounds) => {
      const { interleave } = await import('../test/interop/interleave.ts')
      const { RESTICS } = await import('../test/support/restic.ts')
      return `${rounds} steps, ${await interleave(dir, rounds, RESTICS, console.log)} snapshots left: each is what it was`
    },
  ],
  /** Rounds of 20 moments or more for each database. */
  pit: [
    9,
    async (_, rounds) => {
      const { pitRounds } = await import('../test/faults/pit-rounds.ts')
      await pitRounds(rounds, console.log)
      return `${rounds} rounds: every moment was restored exactly, with kills of the lanes between`
    },
  ],
  /** Minutes. */
  fuzz: [
    10,
    async (dir, minutes) => {
      const { fuzzApi } = await import('../test/faults/api-fuzz.ts')
      const { ok, said, cases } = await fuzzApi(dir, minutes * 60, Math.floor(Math.random() * 1e9))
      if (!ok) throw new Error(said)
      return `${minutes} minutes, ${cases} calls: no 5xx, no answer that is not documented`
    },
  ],
  s3db: [
    200,
    async (dir, rounds) => {
      const { s3dbCampaign } = await import('../test/e2e/s3db-campaign.ts')
      const done = await s3dbCampaign(dir, rounds, console.log)
      return `${done.rounds} databases, ${done.objects} objects: every backup of every chain came back exactly`
    },
  ],
}

const [name = '', count] = process.argv.slice(2)
const campaign = CAMPAIGNS[name]
if (campaign === undefined) {
  console.error(`usage: npm run campaign -- ${Object.keys(CAMPAIGNS).join('|')} [ROUNDS]`)
  process.exit(2)
}
Object.assign(process.env, await prepareTools())
const [rounds, run] = campaign
const dir = mkdtempSync(join(tmpdir(), 'holdfast-campaign-'))
try {
  console.log(await run(dir, Number(count ?? rounds)))
  rmSync(dir, { recursive: true, force: true })
} catch (error) {
  console.error(`what was there at the end is in ${dir}`)
  throw error
}
// s3db keeps timers.
process.exit()
