import { exact, moment, now, relative, zone } from '../format/time.ts'

/** Relative; the exact time with its zone on hover, also that of the job where it has another one. */
export function Time({ at, zone: other }: { at: string; zone?: string | undefined }) {
  const also = other !== undefined && other !== zone ? `\n${exact(at, other)}` : ''
  return (
    <time dateTime={at} title={`${exact(at)}${also}`} class="nowrap">
      {relative(at, now.value)}
    </time>
  )
}

/** The other way round, for lists that are read by date. */
export function Moment({ at }: { at: string }) {
  return (
    <time dateTime={at} title={`${exact(at)}\n${relative(at, now.value)}`} class="nowrap">
      {moment(at)}
    </time>
  )
}
