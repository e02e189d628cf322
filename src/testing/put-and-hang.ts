/** A writer for the check `killed-writer`: puts 20 MiB of an endless object, says so, and hangs until it is killed. */
import { randomBytes } from 'node:crypto'
import type { Bytes } from '../base/bytes.ts'
import type { Storage } from '../model/storage.ts'
import type { ChildOpen } from './storage-stress.ts'

const { module, call, args, key } = JSON.parse(process.argv[2] ?? '{}') as ChildOpen & { key: string }
const opener = (await import(module)) as Record<string, (...args: unknown[]) => Storage | Promise<Storage>>
const storage = await opener[call]?.(...args)

async function* endless(): AsyncGenerator<Bytes> {
  for (let i = 0; i < 20; i += 1) yield randomBytes(1024 * 1024)
  // Time for what is under way, such as the parts of an upload.
  await new Promise((resolve) => setTimeout(resolve, 500))
  console.log('hanging')
  await new Promise((resolve) => setTimeout(resolve, 600_000))
}
await storage?.put(key, endless())
