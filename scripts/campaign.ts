/** `npm run campaign -- kill [rounds]`: the long forms of what the suite runs short. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { killSweep } from '../test/faults/kill-sweep.ts'

const [name, count] = process.argv.slice(2)
if (name !== 'kill') {
  console.error('usage: npm run campaign -- kill [ROUNDS]   (500 if not said)')
  process.exit(2)
}
const dir = mkdtempSync(join(tmpdir(), 'holdfast-campaign-'))
try {
  const result = await killSweep(dir, Number(count ?? 500), console.log)
  console.log(
    `${result.rounds} rounds, ${result.killed} killed, ${result.finished} finished before the kill, ${result.backupsAtEnd} backups left: all restore, nothing was repaired by hand`,
  )
} finally {
  rmSync(dir, { recursive: true, force: true })
}
