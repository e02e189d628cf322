/** Holds a run that works to a rate, until it ends. */
import { useSignal } from '@preact/signals'
import { api } from '../../app/api.ts'
import { parseSize } from '../../format/size.ts'
import { Confirm } from '../../parts/dialog.tsx'
import { Choice, Text } from '../../parts/form.tsx'
import { tell } from '../../parts/toast.tsx'
import { text } from './text.ts'

const KIB = 1024

export function LimitDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const t = text.value
  const how = useSignal<'rate' | 'none'>('rate')
  const typed = useSignal('5m')
  const fault = useSignal<string | undefined>(undefined)
  return (
    <Confirm
      title={t.limitTitle}
      action={t.limitSet}
      danger={false}
      onClose={onClose}
      run={async () => {
        const bytes = parseSize(typed.value)
        fault.value = undefined
        if (how.value === 'rate' && (bytes === undefined || bytes < KIB)) {
          fault.value = t.limitFault
          throw new Error(t.limitFault)
        }
        const bandwidth = how.value === 'none' ? null : Math.round((bytes ?? 0) / KIB)
        await api.call('POST /api/v1/runs/{id}/limit', { params: { id }, body: { bandwidth } })
        tell('ok', t.limitDone)
      }}
    >
      <p>{t.limitText}</p>
      <Choice
        label={t.limit}
        value={how.value}
        options={[
          ['rate', t.limitTo],
          ['none', t.limitNone],
        ]}
        onChange={(value) => (how.value = value)}
      />
      {how.value === 'rate' && (
        <Text
          label={t.limitRate}
          hint={t.limitHint}
          fault={fault.value}
          value={typed.value}
          onInput={(value) => (typed.value = value)}
          mono
        />
      )}
    </Confirm>
  )
}
