/**
 * Entry paths. On disk a name is bytes; here it is a string in which every byte that is not part of valid UTF-8
 * stands as a lone low surrogate U+DC80…U+DCFF (as Python's `surrogateescape`). The mapping is exact both ways,
 * survives JSON, and leaves ordinary names readable.
 *
 * Paths are relative, separated by `/`, without a leading or trailing one; `/srv/a` on disk is `srv/a` here.
 */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
// oxlint-disable-next-line no-control-regex
const ASCII = /^[\x00-\x7f]*$/
const ESCAPED = /[\udc80-\udcff]/

/** A name or path from bytes given as a latin1 string (one char a byte), as `readdir(…, 'latin1')` gives them. */
export function pathFromLatin1(latin1: string): string {
  return ASCII.test(latin1) ? latin1 : pathFromBytes(Buffer.from(latin1, 'latin1'))
}

export function pathFromBytes(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    return escapeInvalid(bytes)
  }
}

/** The exact bytes of a path. */
export function pathToBytes(path: string): Buffer {
  if (!ESCAPED.test(path)) return Buffer.from(path, 'utf8')
  const out: number[] = []
  for (const char of path) {
    const code = char.charCodeAt(0)
    if (char.length === 1 && code >= 0xdc80 && code <= 0xdcff) out.push(code - 0xdc00)
    else out.push(...Buffer.from(char, 'utf8'))
  }
  return Buffer.from(out)
}

/** What node:fs takes: a string where that is exact, else bytes. `path` may be absolute. */
export function fsPath(path: string): string | Buffer {
  return ESCAPED.test(path) ? pathToBytes(path) : path
}

/** Printable in a terminal or log: escaped bytes as `\xNN`, control characters too. */
export function displayPath(path: string): string {
  return path.replaceAll(/[\u0000-\u001f\u007f\udc80-\udcff]/g, (char) => {
    const code = char.charCodeAt(0)
    return `\\x${(code >= 0xdc80 ? code - 0xdc00 : code).toString(16).padStart(2, '0')}`
  })
}

/**
 * The order of entries everywhere: component by component, by bytes, parents before children.
 * Comparing strings whose `/` became NUL does that, since no name holds NUL.
 */
export function comparePaths(a: string, b: string): number {
  if (a === b) return 0
  return ASCII.test(a) && ASCII.test(b)
    ? order(a.replaceAll('/', '\0'), b.replaceAll('/', '\0'))
    : Buffer.compare(nulled(a), nulled(b))
}

/** Whether `path` is `folder` or lies below it; '' is the root of all. */
export function isUnder(path: string, folder: string): boolean {
  return folder === '' || path === folder || path.startsWith(`${folder}/`)
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const nulled = (path: string): Buffer => pathToBytes(path.replaceAll('/', '\0'))

function escapeInvalid(bytes: Uint8Array): string {
  let out = ''
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at)
    if (length === 0) {
      out += String.fromCharCode(0xdc00 + (bytes[at] as number))
      at += 1
    } else {
      out += decoder.decode(bytes.subarray(at, at + length))
      at += length
    }
  }
  return out
}

/** The length of the valid UTF-8 sequence at `at`, or 0. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number
  if (first < 0x80) return 1
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0
  if (length === 0 || at + length > bytes.length) return 0
  try {
    decoder.decode(bytes.subarray(at, at + length))
    return length
  } catch {
    return 0
  }
}

const WIRE = /[\uf780-\uf7ff]/
const WIRE_OR_ESCAPED = /[\udc80-\udcff\uf780-\uf7ff]/g

/** As well-formed text, for addresses and documents of others: bytes that are no UTF-8 as U+F780…U+F7FF. Exact both ways. */
export function pathToWire(path: string): string {
  if (!ESCAPED.test(path) && !WIRE.test(path)) return path
  return path.replaceAll(WIRE_OR_ESCAPED, (char) =>
    [...pathToBytes(char)].map((byte) => String.fromCharCode(0xf700 + byte)).join(''),
  )
}

export function pathFromWire(text: string): string {
  if (!WIRE.test(text)) return text
  const out: number[] = []
  for (const char of text) {
    const code = char.charCodeAt(0)
    if (code >= 0xf780 && code <= 0xf7ff) out.push(code - 0xf700)
    else out.push(...Buffer.from(char, 'utf8'))
  }
  return pathFromBytes(Buffer.from(out))
}
