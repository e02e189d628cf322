import type { Fault } from '../faults.ts'
import { pathKey, type KeyPath } from '../key-path.ts'

export interface Position {
  /** Both from 1. */
  line: number
  column: number
}

/** A configuration text as a tree, and where each key stands. */
export interface Parsed {
  tree: unknown
  positions: Positions
  faults: Fault[]
}

export class Positions {
  readonly #known = new Map<string, Position>()

  set(path: KeyPath, position: Position): void {
    this.#known.set(pathKey(path), position)
  }

  /** Of the key, or of the nearest one above it. */
  find(path: KeyPath): Position | undefined {
    for (let length = path.length; length >= 0; length -= 1) {
      const position = this.#known.get(pathKey(path.slice(0, length)))
      if (position !== undefined) return position
    }
    return undefined
  }
}
