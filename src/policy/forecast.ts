/** How a vault grows, and when it is full: from what was measured, by a line through it. */
import type { Usage } from '../model/usage.ts'

const DAY_MS = 86_400_000

/** Bytes a day, by least squares; undefined before there is a day between measurements. */
export function growthPerDay(measured: readonly Usage[]): number | undefined {
  const [first] = measured
  const last = measured.at(-1)
  if (first === undefined || last === undefined || last.at.getTime() - first.at.getTime() < DAY_MS) return undefined
  const points = measured.map(({ at, bytes }) => [(at.getTime() - first.at.getTime()) / DAY_MS, bytes] as const)
  const mean = (pick: 0 | 1): number => points.reduce((sum, point) => sum + point[pick], 0) / points.length
  const [day, size] = [mean(0), mean(1)]
  const spread = points.reduce((sum, [x]) => sum + (x - day) ** 2, 0)
  return points.reduce((sum, [x, y]) => sum + (x - day) * (y - size), 0) / spread
}

/** Days until the limit, or the free space, is used up. 0 when it is; undefined when it does not grow or nothing bounds it. */
export function daysToFull(measured: readonly Usage[], limit?: number): number | undefined {
  const last = measured.at(-1)
  if (last === undefined) return undefined
  const bounds = [limit === undefined ? Infinity : limit - last.bytes, last.free ?? Infinity]
  const left = Math.min(...bounds)
  if (left === Infinity) return undefined
  if (left <= 0) return 0
  const growth = growthPerDay(measured)
  return growth === undefined || growth <= 0 ? undefined : left / growth
}
