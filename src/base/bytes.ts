/** Byte helpers that have no better home; everything here is total and does no I/O. */
export type Bytes = Uint8Array

export const EMPTY: Bytes = new Uint8Array(0)

export const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8')

export const textOf = (bytes: Bytes): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')

/** A Buffer over the same memory, for its encodings and comparisons. */
export const asBuffer = (bytes: Bytes): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

export function concat(parts: readonly Bytes[]): Uint8Array {
  return Buffer.concat(parts)
}
