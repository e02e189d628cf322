import { useSignal } from '@preact/signals'
import { api } from '../../app/api.ts'
import { words } from '../../app/language.ts'
import { Confirm } from '../../parts/dialog.tsx'
import { Choice, Text } from '../../parts/form.tsx'

const text = words({
  en: {
    title: (job: string) => `Pause ${job}`,
    about: 'Its times pass without a run. It can still be run by hand, and what is stored stays.',
    how: 'For how long',
    until: { hour: 'An hour', day: 'A day', week: 'A week', ever: 'Until resumed' },
    why: 'Why',
    whyHint: 'Shown beside the job, so that nobody has to guess.',
    pause: 'Pause',
  },
  de: {
    title: (job: string) => `${job} pausieren`,
    about: 'Die Zeiten verstreichen ohne Lauf. Von Hand geht es weiterhin, und was gespeichert ist, bleibt.',
    how: 'Wie lange',
    until: { hour: 'Eine Stunde', day: 'Einen Tag', week: 'Eine Woche', ever: 'Bis zum Fortsetzen' },
    why: 'Warum',
    whyHint: 'Steht beim Auftrag, damit niemand raten muss.',
    pause: 'Pausieren',
  },
})

const HOURS = { hour: 1, day: 24, week: 168 }

export function PauseDialog({ job, onClose, onDone }: { job: string; onClose: () => void; onDone: () => void }) {
  const t = text.value
  const until = useSignal<keyof typeof HOURS | 'ever'>('day')
  const reason = useSignal('')
  return (
    <Confirm
      title={t.title(job)}
      action={t.pause}
      danger={false}
      onClose={onClose}
      run={async () => {
        const hours = until.value === 'ever' ? undefined : HOURS[until.value]
        await api.call('POST /api/v1/jobs/{name}/pause', {
          params: { name: job },
          body: {
            ...(hours !== undefined && { until: new Date(Date.now() + hours * 3_600_000).toISOString() }),
            ...(reason.value.trim() !== '' && { reason: reason.value.trim() }),
          },
        })
        onDone()
      }}
    >
      <p>{t.about}</p>
      <Choice
        label={t.how}
        showLabel
        value={until.value}
        options={(['hour', 'day', 'week', 'ever'] as const).map((one) => [one, t.until[one]] as const)}
        onChange={(one) => (until.value = one)}
      />
      <Text label={t.why} hint={t.whyHint} value={reason.value} onInput={(typed) => (reason.value = typed)} />
    </Confirm>
  )
}
