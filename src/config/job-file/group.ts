import type { Fault } from '../faults.ts'
import { isTree, nearest, pathKey, showPath, type KeyPath, type Tree } from '../key-path.ts'
import type { Origin } from '../layers.ts'

/** Collects the normal form, and for each key of it where it stood in the job file. */
export class Translation {
  readonly tree: Tree = {}
  readonly faults: Fault[] = []
  readonly #places = new Map<string, KeyPath>()
  readonly #originOf: (path: KeyPath) => Origin

  constructor(originOf: (path: KeyPath) => Origin) {
    this.#originOf = originOf
  }

  /** Sets a key of the normal form; `undefined` is left out. */
  put(path: KeyPath, value: unknown, from: KeyPath): void {
    if (value === undefined) return
    let into = this.tree
    for (const part of path.slice(0, -1)) {
      const next = into[part]
      const inner: Tree = isTree(next) ? next : {}
      into[part] = inner
      into = inner
    }
    into[path.at(-1) ?? ''] = value
    this.#places.set(pathKey(path), from)
  }

  /** Says where a group of the normal form comes from, for what is missing in it. */
  place(path: KeyPath, from: KeyPath): void {
    this.#places.set(pathKey(path), from)
  }

  /** Where in the job file a place of the normal form was said. */
  placeOf(path: KeyPath): KeyPath {
    for (let length = path.length; length > 0; length -= 1) {
      const place = this.#places.get(pathKey(path.slice(0, length)))
      if (place !== undefined) return length === path.length ? place : [...place, ...path.slice(length)]
    }
    return path.slice(0, 1)
  }

  fault(path: KeyPath, message: string, suggestion?: string): void {
    const { file, line, column } = this.#originOf(path)
    this.faults.push({ file, line, column, key: showPath(path), message, suggestion })
  }
}

export interface Taken {
  value: unknown
  path: KeyPath
}

/** A group of keys of a job file, of which each may have several names. What nobody took is unknown. */
export class Group {
  readonly path: KeyPath
  readonly #tree: Tree
  readonly #translation: Translation
  readonly #known = new Set<string>()

  constructor(tree: Tree, path: KeyPath, translation: Translation) {
    this.#tree = tree
    this.path = path
    this.#translation = translation
  }

  /** The value under the one of these names that is there; two of them are a fault. */
  take(...names: string[]): Taken | undefined {
    for (const name of names) this.#known.add(name)
    const present = names.filter((name) => this.#tree[name] !== undefined && this.#tree[name] !== null)
    const [name, second] = present
    if (name === undefined) return undefined
    if (second !== undefined)
      this.#translation.fault([...this.path, second], `says the same as ${name}; keep one of them`)
    return { value: this.#tree[name], path: [...this.path, name] }
  }

  /** Takes a value over as it is; the schema of the normal form checks it. */
  move(to: KeyPath, ...names: string[]): boolean {
    const taken = this.take(...names)
    if (taken !== undefined) this.#translation.put(to, taken.value, taken.path)
    return taken !== undefined
  }

  /** A secret under one of these names, in any of its three forms. */
  moveSecret(to: KeyPath, ...names: string[]): boolean {
    const last = String(to.at(-1))
    return ['', 'File', 'Command']
      .map((form) => this.move([...to.slice(0, -1), last + form], ...names.map((name) => name + form)))
      .includes(true)
  }

  group(...names: string[]): Group | undefined {
    const taken = this.take(...names)
    if (taken === undefined) return undefined
    if (isTree(taken.value)) return new Group(taken.value, taken.path, this.#translation)
    this.#translation.fault(taken.path, 'must be a group of keys')
    return undefined
  }

  has(...names: string[]): boolean {
    return names.some((name) => this.#tree[name] !== undefined)
  }

  end(): void {
    for (const key of Object.keys(this.#tree)) {
      if (!this.#known.has(key)) {
        this.#translation.fault([...this.path, key], 'unknown key', nearest(key, [...this.#known]))
      }
    }
  }
}
