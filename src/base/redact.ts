/**
 * Keeps secrets out of everything that is written. `redact` knows each secret that was read through a `Secret`, in the
 * forms in which it may come back (as it is, trimmed, URL-encoded, JSON-escaped, base64), and what looks like one:
 * passwords in URLs, `password=…`, authorization headers, signatures in query strings.
 */
export const REDACTED = '[redacted]'

const known = new Set<string>()
let pattern: RegExp | undefined

/** Shorter ones are matched as whole words only, or they would black out half of every line. */
const SHORT = 4

export function registerSecret(text: string): void {
  const forms = [text, ...text.split(/\r?\n/)].flatMap(formsOf)
  const before = known.size
  for (const form of forms) known.add(form)
  if (known.size > before) pattern = undefined
}

function formsOf(text: string): string[] {
  const trimmed = text.trim()
  if (trimmed === '') return []
  const plain = [text, trimmed].filter((form) => form !== '')
  if (trimmed.length < SHORT) return [trimmed]
  const escaped = JSON.stringify(trimmed).slice(1, -1)
  const base64 = Buffer.from(trimmed).toString('base64')
  return [...plain, escaped, urlEncoded(trimmed), base64, base64.replace(/=+$/, '')]
}

function urlEncoded(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : text
}

const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`)

function knownPattern(): RegExp | undefined {
  if (known.size === 0) return undefined
  pattern ??= new RegExp(
    [...known]
      .sort((a, b) => b.length - a.length)
      .map((text) => (text.length < SHORT ? `(?<![\\w])${escape(text)}(?![\\w])` : escape(text)))
      .join('|'),
    'g',
  )
  return pattern
}

/** Keys whose value is a secret, in any spelling: `password`, `SMTP_PASS`, `secretAccessKey`, `x-api-key`, … */
const SECRET_KEY =
  /(?:password|passphrase|passwd|pass|pwd|secret|token|apikey|accesskey|accesskeyid|secretaccesskey|privatekey|authorization|cookie|credentials?|signature)$/i

export const isSecretKey = (key: string): boolean => SECRET_KEY.test(key.replaceAll(/[-_.\s]/g, ''))

const PATTERNS: [RegExp, string][] = [
  // scheme://user:password@host; the user stays, unless it stands alone and so may be a token
  [/\b([a-z][a-z0-9+.-]{0,30}:\/\/)([^\s/?#:@"']{0,200}):[^\s/?#"']{0,500}@/gi, `$1$2:${REDACTED}@`],
  [/\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#:@"'[]{16,500}@/gi, `$1${REDACTED}@`],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${REDACTED}`],
  [
    /((?:password|passphrase|passwd|pwd|secret|token|api[-_]?key|secret[-_]?access[-_]?key|access[-_]?key[-_]?id|signature|x-amz-credential)["']?\s{0,3}[=:]\s{0,3})("[^"]*"|'[^']*'|[^\s"'&,;)}\]]+)/gi,
    `$1${REDACTED}`,
  ],
  [/-----BEGIN ([A-Z ]{0,30}PRIVATE KEY)-----[^-]*(?:-----END \1-----)?/g, REDACTED],
  [/\bAGE-SECRET-KEY-1[A-Z0-9]+/gi, REDACTED],
]

/** The text without the secrets in it. */
export function redact(text: string): string {
  const secrets = knownPattern()
  let out = secrets === undefined ? text : text.replaceAll(secrets, REDACTED)
  for (const [find, put] of PATTERNS) out = out.replaceAll(find, put)
  return out
}

const MAX_DEPTH = 8
const MAX_ITEMS = 200

/**
 * A copy that is safe to write as JSON: strings redacted, values under password-like keys replaced, errors as plain
 * objects with their causes, bytes by their length, cycles and depths cut.
 */
export function redactValue(value: unknown): unknown {
  return clean(value, 0, new Set())
}

function clean(value: unknown, depth: number, above: Set<object>): unknown {
  if (typeof value === 'string') return redact(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'symbol' || typeof value === 'function') return undefined
  if (typeof value !== 'object' || value === null) return value
  if (above.has(value)) return '[circular]'
  if (depth >= MAX_DEPTH) return '[deeper]'
  above.add(value)
  const cleaned = cleanObject(value, (inner) => clean(inner, depth + 1, above))
  above.delete(value)
  return cleaned
}

function cleanObject(value: object, inner: (value: unknown) => unknown): unknown {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
  if (value instanceof Error) return cleanError(value, inner)
  if (Array.isArray(value)) return limited(value.map(inner), value.length)
  if (value instanceof Set) return inner([...value])
  if (value instanceof Map) return inner(Object.fromEntries([...value].map(([key, item]) => [String(key), item])))
  if ('toJSON' in value && typeof value.toJSON === 'function') return inner((value.toJSON as () => unknown)())
  return cleanEntries(Object.entries(value), inner)
}

function limited(items: unknown[], count: number): unknown[] {
  return count <= MAX_ITEMS ? items : [...items.slice(0, MAX_ITEMS), `… and ${count - MAX_ITEMS} more`]
}

function cleanEntries(entries: [string, unknown][], inner: (value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(
    entries.map(([key, item]) => [redact(key), hides(key, item) ? REDACTED : inner(item)] as const),
  )
}

/** Secret objects tell their origin themselves; counts and flags under such a key are harmless. */
const hides = (key: string, item: unknown): boolean =>
  isSecretKey(key) && (typeof item === 'string' || (Array.isArray(item) && item.some((one) => typeof one === 'string')))

function cleanError(error: Error, inner: (value: unknown) => unknown): Record<string, unknown> {
  const own = Object.entries(error).filter(([key]) => key !== 'cause')
  return {
    name: error.name,
    message: redact(error.message),
    ...cleanEntries(own, inner),
    ...(error.stack === undefined ? {} : { stack: redact(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: inner(error.cause) }),
    ...(error instanceof AggregateError ? { errors: inner(error.errors) } : {}),
  }
}
