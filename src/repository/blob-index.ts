/**
 * Which blobs a repository has, and where. One table for all threads, in shared memory: 48 bytes for a blob and 4 to 11
 * for finding it. Writers take turns by a lock that is held for about a microsecond.
 *
 * An entry, in words of 32 bits:  0…7 id · 8 number of the pack, top bit: a tree · 9 offset · 10 length · 11 length of
 * the content, 0 if it is not compressed. A pack of PENDING: claimed by a backup that has not stored it yet.
 */
import { ID_LENGTH, type BlobType } from './ids.ts'

const WORDS = 12
const ENTRY = WORDS * 4
const TREE = 0x8000_0000
export const PENDING = 0x7fff_ffff
const FIRST_ENTRIES = 16_384
const FIRST_SLOTS = 32_768
/** Entries of one repository: 2^27 take 8 GB. */
const MOST_ENTRIES = 2 ** 27
const MOST_SLOTS = 2 ** 28

const LOCK = 0
const COUNT = 1

/** What another thread needs to open the same table. */
export interface IndexMemory {
  control: SharedArrayBuffer
  entries: SharedArrayBuffer
  slots: SharedArrayBuffer
}

export interface BlobPlace {
  pack: number
  offset: number
  length: number
  uncompressedLength: number
}

export function newIndexMemory(): IndexMemory {
  return {
    control: new SharedArrayBuffer(16),
    entries: new SharedArrayBuffer(FIRST_ENTRIES * ENTRY, { maxByteLength: MOST_ENTRIES * ENTRY }),
    slots: new SharedArrayBuffer(FIRST_SLOTS * 4, { maxByteLength: MOST_SLOTS * 4 }),
  }
}

export class BlobIndex {
  readonly memory: IndexMemory
  readonly #control: Int32Array
  #entries: Uint32Array
  #slots: Uint32Array
  /** An id as eight words. */
  readonly #words = new Uint32Array(8)
  readonly #bytes = Buffer.from(this.#words.buffer)

  constructor(memory: IndexMemory = newIndexMemory()) {
    this.memory = memory
    this.#control = new Int32Array(memory.control)
    this.#entries = new Uint32Array(memory.entries, 0, memory.entries.byteLength / 4)
    this.#slots = new Uint32Array(memory.slots, 0, memory.slots.byteLength / 4)
  }

  get count(): number {
    return Atomics.load(this.#control, COUNT)
  }

  /** Bytes of shared memory. */
  get bytes(): number {
    return this.memory.entries.byteLength + this.memory.slots.byteLength
  }

  /** The number of its entry, the first one if it is stored several times; -1 when there is none. */
  find(type: BlobType, id: string): number {
    // What is no id would leave the rest of the one before.
    if (this.#bytes.write(id, 'hex') !== ID_LENGTH) return -1
    return this.#locked(() => this.#find(type === 'tree' ? TREE : 0))
  }

  findBytes(type: BlobType, id: Uint8Array): number {
    this.#bytes.set(id)
    return this.#locked(() => this.#find(type === 'tree' ? TREE : 0))
  }

  has(type: BlobType, id: string): boolean {
    return this.find(type, id) !== -1
  }

  /** Adds an entry, also beside one of the same blob; an equal one is not added again. */
  add(type: BlobType, id: string, place: BlobPlace): void {
    this.#bytes.write(id, 'hex')
    this.#locked(() => {
      const tree = type === 'tree' ? TREE : 0
      for (let entry = this.#find(tree); entry !== -1; entry = this.#find(tree, entry)) {
        const at = entry * WORDS
        if (this.#entries[at + 8] === (tree | place.pack) >>> 0 && this.#entries[at + 9] === place.offset) return
      }
      this.#insert((tree | place.pack) >>> 0, place.offset, place.length, place.uncompressedLength)
    })
  }

  /** For who stores new blobs: the number of a new entry, or -1 when the blob is there or somebody else stores it. */
  claim(type: BlobType, id: Uint8Array): number {
    this.#bytes.set(id)
    const tree = type === 'tree' ? TREE : 0
    return this.#locked(() => (this.#find(tree) === -1 ? this.#insert((tree | PENDING) >>> 0, 0, 0, 0) : -1))
  }

  place(entry: number): BlobPlace {
    this.#refresh()
    const at = entry * WORDS
    return {
      pack: ((this.#entries[at + 8] as number) & ~TREE) >>> 0,
      offset: this.#entries[at + 9] as number,
      length: this.#entries[at + 10] as number,
      uncompressedLength: this.#entries[at + 11] as number,
    }
  }

  typeOf(entry: number): BlobType {
    this.#refresh()
    return ((this.#entries[entry * WORDS + 8] as number) & TREE) === 0 ? 'data' : 'tree'
  }

  idOf(entry: number): string {
    this.#refresh()
    const at = entry * ENTRY
    return Buffer.from(this.memory.entries, at, 32).toString('hex')
  }

  /** Where a claimed blob has been stored. */
  settle(entry: number, { pack, offset, length, uncompressedLength }: BlobPlace): void {
    this.#refresh()
    const at = entry * WORDS
    this.#entries[at + 9] = offset
    this.#entries[at + 10] = length
    this.#entries[at + 11] = uncompressedLength
    this.#entries[at + 8] = (((this.#entries[at + 8] as number) & TREE) | pack) >>> 0
  }

  /** Every place of one blob. */
  places(type: BlobType, id: string): BlobPlace[] {
    if (this.#bytes.write(id, 'hex') !== ID_LENGTH) return []
    const tree = type === 'tree' ? TREE : 0
    const found = this.#locked(() => {
      const entries: number[] = []
      for (let entry = this.#find(tree); entry !== -1; entry = this.#find(tree, entry)) entries.push(entry)
      return entries
    })
    return found.map((entry) => this.place(entry))
  }

  #locked<T>(work: () => T): T {
    while (Atomics.compareExchange(this.#control, LOCK, 0, 1) !== 0) Atomics.wait(this.#control, LOCK, 1, 1)
    try {
      this.#refresh()
      return work()
    } finally {
      Atomics.store(this.#control, LOCK, 0)
      Atomics.notify(this.#control, LOCK, 1)
    }
  }

  #refresh(): void {
    const { entries, slots } = this.memory
    if (entries.byteLength !== this.#entries.byteLength)
      this.#entries = new Uint32Array(entries, 0, entries.byteLength / 4)
    if (slots.byteLength !== this.#slots.byteLength) this.#slots = new Uint32Array(slots, 0, slots.byteLength / 4)
  }

  /** The entry of the id in `#words`, or the one after `after`. */
  #find(tree: number, after = -1): number {
    const slots = this.#slots
    const entries = this.#entries
    const words = this.#words
    const mask = slots.length - 1
    let passed = after === -1
    for (let slot = (words[0] as number) & mask; ; slot = (slot + 1) & mask) {
      const entry = (slots[slot] as number) - 1
      if (entry === -1) return -1
      const at = entry * WORDS
      if (
        entries[at] === words[0] &&
        entries[at + 1] === words[1] &&
        entries[at + 2] === words[2] &&
        entries[at + 3] === words[3] &&
        entries[at + 4] === words[4] &&
        entries[at + 5] === words[5] &&
        entries[at + 6] === words[6] &&
        entries[at + 7] === words[7] &&
        ((entries[at + 8] as number) & TREE) >>> 0 === tree
      ) {
        if (passed) return entry
        passed = entry === after
      }
    }
  }

  #insert(pack: number, offset: number, length: number, uncompressedLength: number): number {
    const entry = this.#control[COUNT] as number
    this.#makeRoom(entry + 1)
    const at = entry * WORDS
    this.#entries.set(this.#words, at)
    this.#entries[at + 8] = pack
    this.#entries[at + 9] = offset
    this.#entries[at + 10] = length
    this.#entries[at + 11] = uncompressedLength
    this.#link(entry)
    Atomics.store(this.#control, COUNT, entry + 1)
    return entry
  }

  #link(entry: number): void {
    const mask = this.#slots.length - 1
    let slot = (this.#entries[entry * WORDS] as number) & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = entry + 1
  }

  #makeRoom(count: number): void {
    const { entries, slots } = this.memory
    if (count * ENTRY > entries.byteLength) {
      if (count > MOST_ENTRIES) throw new RangeError('the repository has more blobs than can be indexed')
      // By an eighth, so that little is unused.
      const wanted = Math.min(MOST_ENTRIES, Math.ceil((count * 9) / 8) + FIRST_ENTRIES)
      entries.grow(wanted * ENTRY)
    }
    const grows = count > this.#slots.length * 0.8
    if (grows) slots.grow(slots.byteLength * 2)
    this.#refresh()
    if (!grows) return
    this.#slots.fill(0)
    for (let entry = 0; entry < count - 1; entry += 1) this.#link(entry)
  }
}
