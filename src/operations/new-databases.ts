/** Databases of a server that came or went since the backup before: each has a folder of its own in a dump. */
import { parsedLabel } from '../model/labels.ts'
import type { SourceReading } from '../model/source.ts'
import type { ReportWarning } from '../model/progress.ts'
import type { Deps } from './recorder.ts'

const SERVERS: readonly string[] = ['postgres', 'mysql', 'mongodb']

export interface Databases {
  /** The same reading, watched. */
  reading: SourceReading
  /** Once the backup is there. */
  announce(): void
}

/** What was there is known to this catalogue only: names of databases are nobody's business who sees the vault. */
export function watchDatabases(
  { catalogue }: Pick<Deps, 'catalogue'>,
  { job, type }: { job: string; type: string },
  reading: SourceReading,
  onWarning: ReportWarning,
): Databases {
  if (!SERVERS.includes(type)) return { reading, announce: () => {} }
  const found = new Set<string>()
  const key = `databases ${job}`
  return {
    reading: {
      ...reading,
      async *entries() {
        for await (const entry of reading.entries()) {
          if (entry.kind === 'directory' && !entry.path.includes('/')) found.add(entry.path)
          yield entry
        }
      },
    },
    announce() {
      const { names } = parsedLabel(catalogue.get(key))
      catalogue.set(key, JSON.stringify({ names: [...found] }))
      if (!Array.isArray(names)) return
      const before = new Set(names.filter((name): name is string => typeof name === 'string'))
      const came = [...found].filter((name) => !before.has(name))
      const went = [...before].filter((name) => !found.has(name))
      if (came.length > 0)
        onWarning({ code: 'note', message: `new on the server, and in the backup from now on: ${came.join(', ')}` })
      if (went.length > 0)
        onWarning({ code: 'note', message: `on the server no more, nor in the backup: ${went.join(', ')}` })
    },
  }
}
