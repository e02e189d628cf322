import { AppError } from './errors.ts'

const SIZE_UNITS: Record<string, number> = { '': 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40, p: 2 ** 50 }
const SIZE = /^\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?\s*$/i

/** `20m`, `1.5 GiB`, `4096` → bytes. All units are powers of 1,024. */
export function parseSize(text: string | number): number {
  if (typeof text === 'number') return text
  const match = SIZE.exec(text)
  if (!match)
    throw new AppError('usage.invalid', `cannot read ${JSON.stringify(text)} as a size`, {
      hint: 'Write sizes as 500k, 20m or 4g.',
    })
  return Math.round(Number(match[1]) * (SIZE_UNITS[(match[2] ?? '').toLowerCase()] ?? 1))
}

const SECOND = 1000
const DURATION_UNITS: Record<string, number> = {
  ms: 1,
  s: SECOND,
  m: 60 * SECOND,
  h: 3600 * SECOND,
  d: 86_400 * SECOND,
  w: 7 * 86_400 * SECOND,
}

/** `7d`, `1h30m`, `250ms` → milliseconds. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/gy)]
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text.trim()) {
    throw new AppError('usage.invalid', `cannot read ${JSON.stringify(text)} as a duration`, {
      hint: 'Write durations as 30s, 5m, 12h or 7d.',
    })
  }
  return parts.reduce((sum, part) => sum + Number(part[1]) * (DURATION_UNITS[part[2] ?? ''] ?? 0), 0)
}

/** 1536 → `1.5 KiB` */
/** `unknown` for what nobody told. */
export function formatSize(bytes: number | undefined): string {
  if (bytes === undefined) return 'unknown'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[unit]}`
}

/** 95_000 → `1m 35s` */
export function formatDuration(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)}ms`
  const seconds = Math.round(ms / SECOND)
  if (seconds < 60) return `${(ms / SECOND).toFixed(ms < 10 * SECOND ? 1 : 0)}s`
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ]
  return parts
    .filter(([count]) => count > 0)
    .slice(0, 2)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ')
}
