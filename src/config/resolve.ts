import type * as z from 'zod'
import { registerSecret } from '../base/redact.ts'
import { isAppError } from '../base/errors.ts'
import { lazySecret, literalSecret } from '../model/secret.ts'
import type { Secret } from '../model/settings.ts'
import type { Env } from './environment.ts'
import type { Fault } from './faults.ts'
import { isTree, nearest, showPath, type KeyPath, type Tree } from './key-path.ts'
import { showOrigin, type Merged } from './layers.ts'
import * as references from './references.ts'
import { keyOf } from './validate.ts'
import { childSchemas, hasTrait, knownKeys, valueOfText, type Schemas } from './walk.ts'

export interface Resolved {
  tree: Tree
  faults: Fault[]
  /** Every secret, by the key where it stands. */
  secrets: { key: string; secret: Secret; literal: boolean; inFile: boolean }[]
}

export interface ResolveContext {
  env: Env
  /** Where relative paths start that no layer said. */
  base: string
  /** Throws an AppError for the text of a storage that cannot be used. */
  parseStorageUrl: (text: string) => unknown
}

/**
 * Follows references, makes paths absolute, and turns secrets into objects that are read when they are wanted.
 * What does not fit the schema is left as it is, for the validation to name.
 */
export async function resolveTree(merged: Merged, schema: z.core.$ZodType, context: ResolveContext): Promise<Resolved> {
  const result: Resolved = { tree: {}, faults: [], secrets: [] }
  const resolver = new Resolver(merged, context, result)
  result.tree = (await resolver.node(merged.tree, [schema], [])) as Tree
  return result
}

class Resolver {
  readonly #merged: Merged
  readonly #outer: ResolveContext
  readonly #result: Resolved

  constructor(merged: Merged, context: ResolveContext, result: Resolved) {
    this.#merged = merged
    this.#outer = context
    this.#result = result
  }

  async node(value: unknown, schemas: Schemas, path: KeyPath): Promise<unknown> {
    if (path[0] === 'profiles' || schemas.length === 0) return value
    if (typeof value === 'string') return this.#text(value, schemas, path)
    if (Array.isArray(value)) {
      return Promise.all(
        value.map((item, index) => this.node(item, childSchemas(schemas, index, value), [...path, index])),
      )
    }
    return isTree(value) ? this.#object(value, schemas, path) : value
  }

  async #object(value: Tree, schemas: Schemas, path: KeyPath): Promise<Tree> {
    const secretKeys = knownKeys(schemas, value).filter((key) => hasTrait(childSchemas(schemas, key, value), 'secret'))
    const out: Tree = {}
    for (const [key, item] of Object.entries(value)) {
      const owner = secretKeys.find((name) => key === `${name}File` || key === `${name}Command`)
      const inner = [...path, key]
      if (owner === undefined) out[key] = await this.node(item, childSchemas(schemas, key, value), inner)
      else if (owner in value || (key.endsWith('Command') && `${owner}File` in value)) {
        this.#fault(inner, `${owner} is given in two ways; keep one of them`)
      } else out[owner] = await this.#form(item, key, inner)
    }
    return out
  }

  async #text(text: string, schemas: Schemas, path: KeyPath): Promise<unknown> {
    for (const kind of references.unknownKinds(text)) {
      const suggestion = nearest(kind, ['env', 'file', 'cmd', 'enc'])
      this.#fault(path, `there is no reference of the kind ${kind}; write $\${ for a literal \${`, suggestion)
    }
    const context = this.#context(path)
    if (hasTrait(schemas, 'secret')) return this.#secret(text, path)
    for (const [, password] of text.matchAll(/:\/\/[^\s/?#:@]*:([^\s/?#]+)@/g)) registerSecret(password ?? '')
    let value = text
    if (references.hasReference(text)) {
      try {
        value = await references.follow(text, context)
      } catch (error) {
        if (!isAppError(error)) throw error
        this.#fault(path, error.message)
        return undefined
      }
    } else value = text.replaceAll('$${', '${')
    if (hasTrait(schemas, 'path')) return references.absolutePath(value, context)
    if (hasTrait(schemas, 'storageUrl')) return this.#storageUrl(absoluteUrl(value, context), path)
    return value === text ? value : valueOfText(schemas, value)
  }

  #storageUrl(url: string, path: KeyPath): string {
    try {
      this.#outer.parseStorageUrl(url)
    } catch (error) {
      if (!isAppError(error)) throw error
      this.#fault(path, `${error.message} (${error.hint})`)
    }
    return url
  }

  #secret(text: string, path: KeyPath): Secret {
    const context = this.#context(path)
    const literal = !references.hasReference(text)
    const origin = literal ? this.#where(path) : references.showReferences(text)
    const secret = literal
      ? literalSecret(text.replaceAll('$${', '${'), origin)
      : lazySecret(origin, () => references.follow(text, context))
    const kind = this.#merged.originOf(path).kind
    this.#result.secrets.push({ key: showPath(path), secret, literal, inFile: kind === 'file' || kind === 'profile' })
    return secret
  }

  /** The `…File` and `…Command` forms. */
  async #form(value: unknown, key: string, path: KeyPath): Promise<unknown> {
    const context = this.#context(path)
    const words = (Array.isArray(value) ? value : [value]).filter((word) => typeof word === 'string')
    if (words.length === 0 || words.includes('') || (key.endsWith('File') && Array.isArray(value))) {
      this.#fault(path, key.endsWith('File') ? 'must be the path of a file' : 'must be a command')
      return undefined
    }
    const [first = ''] = words
    const secret = key.endsWith('File')
      ? lazySecret(`\${file:${first}}`, async () =>
          references.readSecretFile(await references.follow(first, context), context),
        )
      : lazySecret(`\${cmd:${references.splitCommand(first)[0] ?? ''} …}`, () =>
          references.runCommand(Array.isArray(value) ? words : references.splitCommand(first), context),
        )
    this.#result.secrets.push({ key: showPath(path), secret, literal: false, inFile: false })
    return secret
  }

  #context(path: KeyPath): references.ReferenceContext {
    return { env: this.#outer.env, base: this.#merged.ownerOf(path)?.base ?? this.#outer.base }
  }

  #where(path: KeyPath): string {
    return showOrigin(this.#merged.nearestOrigin(path))
  }

  #fault(path: KeyPath, message: string, suggestion?: string): void {
    const origin = this.#merged.nearestOrigin(path)
    const { file, line, column } = origin
    this.#result.faults.push({ file, line, column, key: keyOf(origin, path), message, suggestion })
  }
}

/** A text as written, with the relative paths in it made absolute. */
export function absoluteText(text: string, schemas: Schemas, context: references.ReferenceContext): string {
  const inner = text.replaceAll(
    /\$\{file:\s*([^}]*)\}/g,
    (_, path: string) => `\${file:${references.absolutePath(path.trim(), context)}}`,
  )
  if (inner.startsWith('${') || inner.startsWith('enc:')) return inner
  if (hasTrait(schemas, 'path')) return references.absolutePath(inner, context)
  return hasTrait(schemas, 'storageUrl') ? absoluteUrl(inner, context) : inner
}

/** `./vault` and `file:./vault` with the folder in front; other URLs as they are. */
export function absoluteUrl(text: string, context: references.ReferenceContext): string {
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(text) ?? []
  if (scheme === undefined) return references.absolutePath(text, context)
  if (scheme.toLowerCase() !== 'file' || rest.startsWith('/')) return text
  return `file:${references.absolutePath(rest, context)}`
}
