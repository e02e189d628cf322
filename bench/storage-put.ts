/** Stores a file, or every file of a folder, through the driver of an address: what storages.ts measures. */
import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openStorage } from '../src/storage/open.ts'

const [address = '', path = '', width = '1'] = process.argv.slice(2)
const storage = await openStorage(address)
if (Number(width) === 1) await storage.put('stream', createReadStream(path, { highWaterMark: 1024 * 1024 }))
else {
  const names = (await readdir(path)).values()
  const worker = async (): Promise<void> => {
    for (const name of names) await storage.put(`small/${name}`, await readFile(join(path, name)))
  }
  await Promise.all(Array.from({ length: Number(width) }, worker))
}
await storage.close()
