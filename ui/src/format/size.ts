import { number } from '../app/language.ts'

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** Powers of 1,024, as the command line shows them. */
export function size(bytes: number | undefined): string {
  if (bytes === undefined) return '–'
  let value = Math.abs(bytes)
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 100 ? 0 : value < 10 ? 2 : 1
  const text = number(value, digits)
  return `${bytes < 0 ? '−' : ''}${text} ${UNITS[unit]}`
}

/** 2048 KiB/s → `2.00 MiB/s` */
export const rate = (bytesPerSecond: number): string => `${size(bytesPerSecond)}/s`

/** `500k`, `20m`, `1.5g` → bytes; undefined: not to be read. */
export function parseSize(text: string): number | undefined {
  const match = /^\s*(\d+(?:[.,]\d+)?)\s*([kmgtp]?)(?:i?b)?\s*$/i.exec(text)
  if (match === null) return undefined
  const power = 'kmgtp'.indexOf((match[2] ?? '').toLowerCase()) + 1
  return Math.round(Number((match[1] ?? '').replace(',', '.')) * 1024 ** (match[2] === '' ? 0 : power))
}
