import type { TargetedPointerEvent } from 'preact'
import { exact, moment, now, relative, zone } from '../format/time.ts'

type Hover = (event: TargetedPointerEvent<HTMLElement>) => void

/** Made when somebody points at it: a long list has hundreds of them. */
const titled =
  (title: () => string): Hover =>
  ({ currentTarget }) => {
    currentTarget.title = title()
  }

/** Relative; the exact time with its zone on hover, also that of the job where it has another one. */
export function Time({ at, zone: other }: { at: string; zone?: string | undefined }) {
  const also = (): string => (other !== undefined && other !== zone ? `\n${exact(at, other)}` : '')
  return (
    <time dateTime={at} onPointerEnter={titled(() => exact(at) + also())} class="nowrap">
      {relative(at, now.value)}
    </time>
  )
}

/** The other way round, for lists that are read by date. */
export function Moment({ at }: { at: string }) {
  return (
    <time dateTime={at} onPointerEnter={titled(() => `${exact(at)}\n${relative(at, now.peek())}`)} class="nowrap">
      {moment(at)}
    </time>
  )
}
