/** How closely a check looks, as its flags say. */
import { AppError } from '../base/errors.ts'

export interface CheckFlags {
  readData?: boolean
  readDataSubset?: string
}

/** Of the stored bytes, the share that is read: 0 to 1. */
export function shareRead({ readData, readDataSubset: subset }: CheckFlags): number {
  if (subset === undefined) return readData === true ? 1 : 0
  const match = /^(\d+(?:\.\d+)?)%$/.exec(subset)
  const share = Number(match?.[1]) / 100
  if (match === null || share <= 0 || share > 1)
    throw new AppError('usage.invalid', `--read-data-subset ${subset} is no percentage such as 10%`)
  return share
}
