/** Names of segments, which tell all that windows and gaps are computed from: docs/formats/lanes.md. */
import type { SegmentInfo } from '../model/lane.ts'

/** A name is one part of a key, which file systems limit to 255 bytes. */
const LONGEST = 230
const WORD = '[0-9A-Za-z.+-]+'
const NAME = new RegExp(`^(${WORD})_(${WORD})_(${WORD})_(\\d+)_(\\d+)_([be]*)$`)

export interface NamedSegment extends SegmentInfo {
  name: string
  size: number
  /** Of a long one: how many objects it lies in. */
  parts: number
}

/** Undefined where positions are too long for a name. */
export function segmentName(info: SegmentInfo): string | undefined {
  const flags = `${info.base ? 'b' : ''}${info.hasEvents ? 'e' : ''}`
  const times = `${info.fromTime.getTime()}_${info.toTime.getTime()}`
  const name = `${info.lineage}_${info.from}_${info.to}_${times}_${flags}`
  return name.length <= LONGEST && NAME.test(name) ? name : undefined
}

/** Part `n` of `of`, from 1 on, of a segment that is too long for one object. */
export const partName = (name: string, n: number, of: number): string => (of === 1 ? name : `${name}.${n}of${of}`)

export function parsePartName(name: string): { name: string; n: number; of: number } {
  const found = /^(.*)\.(\d+)of(\d+)$/.exec(name)
  if (found === null) return { name, n: 1, of: 1 }
  return { name: found[1] ?? '', n: Number(found[2]), of: Number(found[3]) }
}

export function parseSegmentName(name: string): SegmentInfo | undefined {
  const found = NAME.exec(name)
  if (found === null) return undefined
  const [, lineage = '', from = '', to = '', fromTime = '', toTime = '', flags = ''] = found
  return {
    lineage,
    from,
    to,
    fromTime: new Date(Number(fromTime)),
    toTime: new Date(Number(toTime)),
    base: flags.includes('b'),
    hasEvents: flags.includes('e'),
  }
}

/** `SYSTEM.MILLISECONDS.RANDOM`: the system, shortened, and when this lineage began. */
export const lineageOf = (system: string, began: Date, random: string): string =>
  `${system}.${began.getTime()}.${random}`

export function lineageParts(lineage: string): { system: string; began: Date } {
  const [system = '', began = '0'] = lineage.split('.')
  return { system, began: new Date(Number(began)) }
}
