/** The passwords of a repository: key files that wrap one master key. */
import { AppError, isAppError } from '../base/errors.ts'
import type { Clock } from '../base/clock.ts'
import type { Secret } from '../model/settings.ts'
import type { VaultKey, VaultKeys } from '../model/vault.ts'
import { idOf, keyOfFile } from './ids.ts'
import { encodeKeyFile, newKeyFile, parseKeyFile } from './key-file.ts'
import { lockRepository } from './lock.ts'
import { listIds, openRepository, type OpenRepository } from './repository.ts'
import { readFile } from './unpacked.ts'

/** `repository` is what the password in use opened. */
export function keyRing(repository: OpenRepository, clock: Clock): VaultKeys {
  const { storage } = repository
  let current = repository.keyId

  async function list(): Promise<VaultKey[]> {
    const keys: VaultKey[] = []
    for await (const id of listIds(storage, 'keys')) {
      try {
        const { created, username, hostname } = parseKeyFile(await readFile(storage, 'keys', id), keyOfFile('keys', id))
        keys.push({ id, created: new Date(created), user: username, host: hostname, current: id === current })
      } catch (error) {
        if (!isAppError(error, 'storage.not-found')) throw error
      }
    }
    return keys.sort((a, b) => a.created.getTime() - b.created.getTime())
  }

  async function add(password: Secret): Promise<string> {
    const text = await password.read()
    if (text === '') throw new AppError('usage.invalid', 'an empty password protects nothing')
    const bytes = encodeKeyFile(await newKeyFile(repository.key.raw, text, { now: clock.now() }))
    const id = idOf(bytes)
    await storage.put(keyOfFile('keys', id), bytes, { storageClass: 'warm' })
    // Shown to work before anything that opens the repository is taken away.
    await openRepository(storage, password)
    return id
  }

  return {
    list,
    async add(password) {
      await using lock = await lockRepository(repository, { exclusive: false, clock })
      await lock.confirmed
      return add(password)
    },
    async change(password) {
      await using lock = await lockRepository(repository, { exclusive: true, clock })
      await lock.confirmed
      const before = current
      current = await add(password)
      await storage.remove(keyOfFile('keys', before))
      return current
    },
    async remove(prefix) {
      await using lock = await lockRepository(repository, { exclusive: true, clock })
      await lock.confirmed
      const found = (await list()).filter(({ id }) => id.startsWith(prefix))
      const [only] = found
      if (only === undefined || found.length > 1)
        throw new AppError('usage.invalid', `${found.length} keys of ${storage.name} begin with ${prefix}`, {
          hint: 'See `holdfast key list`.',
        })
      if (only.current)
        throw new AppError('usage.invalid', `${only.id.slice(0, 8)} is the key that opened the repository just now`, {
          hint: 'Open it with another password to remove this one, or use `holdfast key passwd`.',
        })
      await storage.remove(keyOfFile('keys', only.id))
      return only.id
    },
  }
}
