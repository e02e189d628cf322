/** Writes rows to the SQLite database of its argument, one transaction each, and tells of each on stdout; ends with stdin. */
import { DatabaseSync } from 'node:sqlite'

const database = new DatabaseSync(process.argv[2] ?? '', { timeout: 30_000 })
const insert = database.prepare('insert into t (id, pad) values (?, ?)')
let ended = false
process.stdin.on('data', () => {}).on('end', () => (ended = true))
for (let id = Number(process.argv[3] ?? 1); !ended; id += 1) {
  const before = Date.now()
  insert.run(id, `${id} `.repeat(id % 97))
  process.stdout.write(`${id} ${before} ${Date.now()}\n`)
  await new Promise((resolve) => setTimeout(resolve, 10))
}
database.close()
