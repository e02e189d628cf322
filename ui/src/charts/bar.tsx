import type { Tone } from '../parts/state.tsx'
import './charts.css'

/** How much of a whole is used; `label` says it in words. */
export function Bar({ share, label, tone = 'mute' }: { share: number; label: string; tone?: Tone }) {
  const percent = Math.max(0, Math.min(100, share * 100))
  return (
    <svg class={`bar ${tone}`} viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={label}>
      <rect width={percent === 0 ? 0 : Math.max(percent, 0.8)} height="8" />
    </svg>
  )
}
