import type { KeyPath } from '../key-path.ts'
import { Positions, type Parsed, type Position } from './parsed.ts'

const MAX_DEPTH = 100

/** JSON with the place of every key. Messages never quote the text, which may hold secrets. */
export function parseJson(text: string): Parsed {
  const reader = new Reader(text)
  try {
    return { tree: reader.document(), positions: reader.positions, faults: reader.faults }
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    return {
      tree: undefined,
      positions: reader.positions,
      faults: [{ ...error.position, key: '', message: error.message }],
    }
  }
}

class SyntaxFault extends Error {
  readonly position: Position
  constructor(message: string, position: Position) {
    super(message)
    this.position = position
  }
}

class Reader {
  readonly positions = new Positions()
  readonly faults: Parsed['faults'] = []
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): unknown {
    this.#space()
    const value = this.#value([])
    this.#space()
    if (this.#at < this.#text.length) this.#fail('there is more after the end of the document')
    return value
  }

  #value(path: KeyPath): unknown {
    if (path.length > MAX_DEPTH) this.#fail('is nested too deeply')
    const char = this.#text[this.#at]
    if (char === '{') return this.#object(path)
    if (char === '[') return this.#array(path)
    if (char === '"') return this.#string()
    const word = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/y
    word.lastIndex = this.#at
    const match = word.exec(this.#text)
    if (match === null) this.#fail(char === undefined ? 'the document ends too early' : 'expected a value')
    this.#at += match[0].length
    return JSON.parse(match[0])
  }

  #object(path: KeyPath): unknown {
    const entries = new Map<string, unknown>()
    this.#at += 1
    this.#space()
    if (this.#take('}')) return {}
    do {
      this.#space()
      const position = this.#position()
      if (this.#text[this.#at] !== '"') this.#fail('expected a key in double quotes')
      const key = this.#string()
      const inner = [...path, key]
      if (entries.has(key)) this.faults.push({ ...position, key, message: 'is there twice' })
      this.positions.set(inner, position)
      this.#space()
      if (!this.#take(':')) this.#fail('expected a colon after the key')
      this.#space()
      entries.set(key, this.#value(inner))
      this.#space()
    } while (this.#take(','))
    if (!this.#take('}')) this.#fail('expected a comma or a closing brace')
    return Object.fromEntries(entries)
  }

  #array(path: KeyPath): unknown {
    const items: unknown[] = []
    this.#at += 1
    this.#space()
    if (this.#take(']')) return items
    do {
      this.#space()
      const inner = [...path, items.length]
      this.positions.set(inner, this.#position())
      items.push(this.#value(inner))
      this.#space()
    } while (this.#take(','))
    if (!this.#take(']')) this.#fail('expected a comma or a closing bracket')
    return items
  }

  #string(): string {
    const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y
    string.lastIndex = this.#at
    const match = string.exec(this.#text)
    if (match === null) this.#fail('this text does not end, or has a wrong escape in it')
    this.#at += match[0].length
    return JSON.parse(match[0]) as string
  }

  #space(): void {
    while (' \t\r\n'.includes(this.#text[this.#at] ?? 'x')) this.#at += 1
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at += 1
    return true
  }

  #position(): Position {
    const before = this.#text.slice(0, this.#at)
    return { line: before.split('\n').length, column: this.#at - before.lastIndexOf('\n') }
  }

  #fail(message: string): never {
    throw new SyntaxFault(message, this.#position())
  }
}
