/** `config`: sealed JSON, never compressed. docs/formats/repository.md §2. */
import { randomBytes } from 'node:crypto'
import { AppError } from '../base/errors.ts'
import { utf8, type Bytes } from '../base/bytes.ts'
import { countIn, damaged, parseObject, textIn } from './parse.ts'
import { parsePolynomial, randomPolynomial } from './polynomial.ts'

export const CONFIG_KEY = 'config'

export interface RepositoryConfig {
  version: 1 | 2
  id: string
  polynomial: bigint
}

export function newConfig(polynomial = randomPolynomial()): RepositoryConfig {
  return { version: 2, id: randomBytes(32).toString('hex'), polynomial }
}

export function encodeConfig({ version, id, polynomial }: RepositoryConfig): Uint8Array {
  return utf8(JSON.stringify({ version, id, chunker_polynomial: polynomial.toString(16) }))
}

export function parseConfig(bytes: Bytes, where: string): RepositoryConfig {
  const what = `the configuration of ${where}`
  const object = parseObject(bytes, what)
  const version = countIn(object, 'version')
  if (version !== 1 && version !== 2)
    throw new AppError(
      'vault.unsupported',
      `${where} has version ${String(object['version'])} of the repository format`,
    )
  const polynomial = parsePolynomial(textIn(object, 'chunker_polynomial') ?? '')
  if (polynomial === undefined) throw damaged(what, 'its chunker polynomial is none')
  return { version, id: textIn(object, 'id') ?? '', polynomial }
}
