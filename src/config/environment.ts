import type * as z from 'zod'
import type { Fault } from './faults.ts'
import { isTree, nearest, pathKey, valueAt, type KeyPath, type Tree } from './key-path.ts'
import type { Layer, Origin } from './layers.ts'
import { childSchemas, isRecord, knownKeys, valueOfText, type Schemas } from './walk.ts'

export type Env = Readonly<Record<string, string | undefined>>

const PREFIX = 'HOLDFAST_'

/** `dataDir` → `DATA_DIR`; names of vaults and jobs: `my-vault` → `MY_VAULT`. */
export const envName = (key: string): string =>
  key
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/[^A-Za-z0-9]+/g, '_')
    .toUpperCase()

/** The variable that overrides a key: `HOLDFAST_SERVER__DATA_DIR`. */
export const envNameOf = (path: KeyPath): string => PREFIX + path.map((part) => envName(String(part))).join('__')

/**
 * Settings from variables with `__` in their name. Names of vaults and jobs are looked up in what is configured
 * already, without regard to case and with `-` as `_`; unknown ones are new. An empty variable counts as unset.
 */
export function environmentLayer(
  env: Env,
  schema: z.core.$ZodType,
  configured: Tree,
  base: string,
  originOf: (name: string) => Partial<Origin>,
): { layer: Layer; faults: Fault[] } {
  const tree: Tree = {}
  const names = new Map<string, string>()
  const faults: Fault[] = []
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || !name.includes('__') || text === undefined || text === '') continue
    const found = resolveName(name.slice(PREFIX.length).split('__'), schema, [configured, tree])
    if ('suggestion' in found) {
      faults.push({ key: name, message: 'no setting has this name', suggestion: PREFIX + found.suggestion })
      continue
    }
    if (found.schemas.length === 0) continue
    put(tree, found.path, valueOfText(found.schemas, text))
    names.set(pathKey(found.path), name)
  }
  const layer: Layer = {
    tree,
    base,
    originOf(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const name = names.get(pathKey(path.slice(0, length)))
        if (name !== undefined) return { kind: 'env', name, ...originOf(name) }
      }
      return { kind: 'env' }
    },
  }
  return { layer, faults }
}

type Found = { path: (string | number)[]; schemas: Schemas } | { suggestion: string }

function resolveName(segments: string[], root: z.core.$ZodType, trees: Tree[]): Found {
  const path: string[] = []
  let schemas: Schemas = [root]
  for (const [index, segment] of segments.entries()) {
    const present = trees.flatMap((tree) => keysAt(tree, path))
    const keys = isRecord(schemas) ? present : knownKeys(schemas)
    const key =
      keys.find((known) => envName(known) === envName(segment)) ??
      (isRecord(schemas) ? segment.toLowerCase() : undefined)
    if (key === undefined) {
      const guess = nearest(segment, keys.map(envName))
      const better =
        guess === undefined
          ? segments.slice(0, index)
          : [...segments.slice(0, index), guess, ...segments.slice(index + 1)]
      return { suggestion: better.join('__') }
    }
    path.push(key)
    schemas = childSchemas(schemas, key)
  }
  return { path, schemas }
}

function keysAt(tree: Tree, path: KeyPath): string[] {
  const value = valueAt(tree, path)
  return isTree(value) ? Object.keys(value) : []
}

function put(tree: Tree, path: readonly (string | number)[], value: unknown): void {
  let into = tree
  for (const part of path.slice(0, -1)) {
    const next = into[part]
    const inner: Tree = isTree(next) ? next : {}
    into[part] = inner
    into = inner
  }
  into[path.at(-1) ?? ''] = value
}
