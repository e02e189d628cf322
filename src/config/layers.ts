import { isTree, pathKey, type KeyPath, type Tree } from './key-path.ts'
import type { Position } from './parse/parsed.ts'

/** Where a value came from. */
export interface Origin {
  kind: 'file' | 'profile' | 'env' | 'flag' | 'page' | 'default'
  file?: string
  line?: number
  column?: number
  /** Of the variable, the flag or the profile. */
  name?: string
  /** What the file calls the key, where that is not its name in the normal form. */
  key?: string
}

/** Settings from one place; later layers win. */
export interface Layer {
  tree: Tree
  /** Relative paths in it start here. */
  base: string
  originOf: (path: KeyPath) => Origin
}

/** `holdfast.yaml:3`, `env HOLDFAST_LOG__LEVEL`, `profile dev (holdfast.yaml:9)`, `default` */
export function showOrigin(origin: Origin): string {
  const place = [origin.file, origin.line].filter((part) => part !== undefined).join(':')
  if (origin.kind === 'file') return place
  const name = origin.name === undefined ? origin.kind : `${origin.kind} ${origin.name}`
  return place === '' ? name : `${name} (${place})`
}

export const positionIn = (file: string, position: Position | undefined): Origin => ({
  kind: 'file',
  file,
  ...position,
})

/** The layers as one tree, and for every place in it the layer that said it last. */
export class Merged {
  tree: Tree = {}
  readonly #secrets: ReadonlySet<string>
  readonly #owners = new Map<string, Layer>()

  constructor(secrets: ReadonlySet<string>) {
    this.#secrets = secrets
  }

  add(layer: Layer): void {
    this.tree = this.#merge(this.tree, layer.tree, [], layer) as Tree
  }

  /** Undefined where no layer said anything: a default. */
  ownerOf(path: KeyPath): Layer | undefined {
    return this.#owners.get(pathKey(path))
  }

  /** Of the place, or of the nearest one above it that a layer said. */
  nearestOrigin(path: KeyPath): Origin {
    for (let length = path.length; length >= 0; length -= 1) {
      const owner = this.ownerOf(path.slice(0, length))
      if (owner !== undefined) return owner.originOf(path)
    }
    return { kind: 'default' }
  }

  originOf(path: KeyPath): Origin {
    return this.ownerOf(path)?.originOf(path) ?? { kind: 'default' }
  }

  #merge(base: unknown, over: unknown, path: KeyPath, layer: Layer): unknown {
    if (!isTree(over)) return this.#take(over, path, layer)
    const into = isTree(base) && sameType(base, over) ? { ...base } : {}
    if (!this.#owners.has(pathKey(path)) || !isTree(base)) this.#owners.set(pathKey(path), layer)
    for (const [key, value] of Object.entries(over)) {
      if (key === '__proto__') continue
      for (const rival of this.#rivals(key)) if (!Object.hasOwn(over, rival)) delete into[rival]
      if (value === null || value === undefined) delete into[key]
      else into[key] = this.#merge(into[key], value, [...path, key], layer)
    }
    return into
  }

  #take(value: unknown, path: KeyPath, layer: Layer): unknown {
    this.#owners.set(pathKey(path), layer)
    if (Array.isArray(value)) return value.map((item, index) => this.#take(item, [...path, index], layer))
    if (!isTree(value)) return value
    const entries = Object.entries(value).filter(([, item]) => item !== null && item !== undefined)
    return Object.fromEntries(entries.map(([key, item]) => [key, this.#take(item, [...path, key], layer)]))
  }

  /** A `passwordFile` replaces the `password` and `passwordCommand` of the layers below, and so on. */
  #rivals(key: string): string[] {
    const stem = key.replace(/(?:File|Command)$/, '')
    const name = this.#secrets.has(key) ? key : stem
    if (!this.#secrets.has(name)) return []
    return [name, `${name}File`, `${name}Command`].filter((form) => form !== key)
  }
}

/** Settings of another type replace all, instead of being mixed with what fits the old one only. */
const sameType = (base: Tree, over: Tree): boolean =>
  typeof over['type'] !== 'string' || base['type'] === undefined || over['type'] === base['type']
