import { common } from './words.ts'

export type Tone = 'ok' | 'warn' | 'bad' | 'run' | 'mute'

export type StateName = keyof (typeof common)['value']['states']

const LOOK: Record<StateName, [tone: Tone, mark: string]> = {
  success: ['ok', '✓'],
  ok: ['ok', '✓'],
  warning: ['warn', '!'],
  failed: ['bad', '✕'],
  bad: ['bad', '✕'],
  interrupted: ['bad', '⊘'],
  running: ['run', '▶'],
  queued: ['mute', '◔'],
  cancelled: ['mute', '⊘'],
  skipped: ['mute', '–'],
  unknown: ['mute', '○'],
  paused: ['mute', '‖'],
  disabled: ['mute', '○'],
}

export const toneOf = (state: StateName): Tone => LOOK[state][0]
export const markOf = (state: StateName): string => LOOK[state][1]

/** Colour, shape and word together: no state is told by its colour alone. */
export function State({ of, text }: { of: StateName; text?: string }) {
  const [tone, mark] = LOOK[of]
  return <Tag tone={tone} mark={mark} text={text ?? common.value.states[of]} />
}

export function Tag({
  tone = 'mute',
  mark,
  text,
  title,
}: {
  tone?: Tone
  mark?: string
  text: string
  title?: string
}) {
  return (
    <span class={`tag ${tone}${mark === undefined ? ' plain' : ''}`} title={title}>
      {mark !== undefined && <i aria-hidden="true">{mark}</i>}
      {text}
    </span>
  )
}
