// A source and a storage are plain objects that meet a contract. `holdfast/testing` has the suites that hold them to it.
import { Readable } from 'node:stream'
import { AppError, open, type Source, type Storage } from 'holdfast'

/** The currencies of a shop, each as one file. */
function prices(of: Record<string, number>): Source {
  return {
    type: 'prices',
    name: 'the prices of the shop',
    paths: ['prices'],
    test: async () => [{ name: 'reachable', ok: true, detail: 'they are in memory' }],
    read: async ({ signal }) => ({
      // Sorted by path, each once.
      async *entries() {
        for (const currency of Object.keys(of).sort()) {
          signal?.throwIfAborted()
          const bytes = Buffer.from(`${of[currency]}\n`)
          let at = 0
          yield {
            path: currency,
            kind: 'file',
            mode: 0o644,
            mtime: { s: 1_700_000_000, ns: 0 },
            size: bytes.length,
            open: () => ({
              read(into) {
                const count = bytes.copy(into, 0, at)
                at += count
                return count
              },
              close() {
                at = 0
              },
            }),
          }
        }
      },
      facts: () => ({ currencies: Object.keys(of).length }),
      close: async () => {},
    }),
  }
}

/** Objects in a map. */
function shelf(): Storage {
  const objects = new Map<string, { bytes: Uint8Array<ArrayBuffer>; modified: Date }>()
  const told = (key: string) => {
    const found = objects.get(key)
    return found && { key, size: found.bytes.length, modified: found.modified }
  }
  return {
    name: 'shelf',
    can: { conditionalCreate: true, storageClasses: false, serverChecksums: false },
    async put(key, body, { ifAbsent = false } = {}) {
      // The memory of a chunk is used again for the next one: what is kept is copied.
      const bytes = new Uint8Array(body instanceof Uint8Array ? body : await collect(body))
      if (ifAbsent && objects.has(key)) throw new AppError('storage.exists', `${key} is on the shelf`)
      const modified = new Date()
      objects.set(key, { bytes, modified })
      return { key, size: bytes.length, modified }
    },
    async *get(key, { range } = {}) {
      const found = objects.get(key)
      if (found === undefined) throw new AppError('storage.not-found', `${key} is not on the shelf`)
      yield range === undefined ? found.bytes : found.bytes.slice(range.start, range.end)
    },
    stat: async (key) => told(key),
    async *list(prefix) {
      for (const key of [...objects.keys()].filter((each) => each.startsWith(prefix)).sort()) {
        const object = told(key)
        if (object !== undefined) yield object
      }
    },
    remove: async (key) => void objects.delete(key),
    sweep: async () => ({ removed: 0, bytes: 0 }),
    close: async () => {},
  }
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(
    await Readable.from(body, { objectMode: true })
      .map((chunk: Uint8Array) => Buffer.from(chunk))
      .toArray(),
  )
}

const vaults = { shelf: { storage: shelf(), password: 'correct horse battery staple' } }
await using holdfast = await open({ version: 1, server: { dataDir: './state' } }, { vaults })
await holdfast.backup({ source: prices({ EUR: 5, USD: 6 }), job: 'prices', vault: 'shelf' })
await holdfast.backup({ source: prices({ EUR: 5, USD: 7 }), job: 'prices', vault: 'shelf' })
for (const { type, files } of await holdfast.list('shelf')) console.log(type, files)
const check = await holdfast.check({ vault: 'shelf', readData: true })
console.log(check.ok ? 'all is well' : check.damage)
