// Back up a folder as a job, watch it, prove it, prune, and restore.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { open } from 'holdfast'

mkdirSync('documents', { recursive: true })
writeFileSync('documents/letter.txt', 'Dear all')

await using holdfast = await open({
  version: 1,
  server: { dataDir: './state' },
  vaults: { local: { storage: 'file:./vault', format: 'archive', password: 'correct horse battery staple' } },
  jobs: { documents: { source: { type: 'files', paths: ['./documents'] }, vaults: 'local' } },
})

// Await an operation for its result; or iterate it for its events first.
const running = holdfast.runJobs(['documents'], { signal: AbortSignal.timeout(60_000) })
for await (const event of running) if (event.type === 'stage') console.log(`${event.run.job}: ${event.stage}`)
for (const { job, run, error } of await running) console.log(job, run.status, error?.code ?? '')

const [backup] = await holdfast.list('local', { job: 'documents' })
console.log(backup?.type, backup?.files, 'files')

const proof = await holdfast.verify({ vault: 'local', backup: 'latest', level: 'V4' })
console.log('proved to', proof.level)

const plan = await holdfast.prune({ vault: 'local', retention: { daily: 7, weekly: 4 } })
console.log('would keep', plan.keep.length, 'and remove', plan.remove.length)

await holdfast.restore({
  vault: 'local',
  backup: 'latest',
  target: holdfast.app.filesTarget({ root: './restored', overwrite: 'always' }),
  selection: { want: ({ path }) => path.endsWith('letter.txt') },
})
const [restored] = await Array.fromAsync(holdfast.entries('local', 'latest', { want: ({ kind }) => kind === 'file' }))
console.log(readFileSync(`./restored/${restored?.path}`, 'utf8'))
