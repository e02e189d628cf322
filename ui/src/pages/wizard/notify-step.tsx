import { api } from '../../app/api.ts'
import { useLoad } from '../../app/load.ts'
import { to } from '../../app/router.ts'
import { get, set, textsAt } from '../../forms/definition.ts'
import { Act } from '../../parts/button.tsx'
import { Check, Choice } from '../../parts/form.tsx'
import { Shown } from '../../parts/page.tsx'
import { tell } from '../../parts/toast.tsx'
import { eventWords } from '../settings/events.ts'
import type { StepProps } from './draft.ts'
import { text } from './text.ts'

export function NotifyStep({ draft, change }: StepProps) {
  const t = text.value.notify
  const { definition } = draft
  const notifiers = useLoad(async (signal) => api.call('GET /api/v1/notifications', { signal }), [])
  const only = get(definition, 'notify') !== undefined
  const chosen = textsAt(definition, 'notify')
  return (
    <Shown of={notifiers}>
      {({ items }) =>
        items.length === 0 ? (
          <div class="stack s">
            <p class="soft">{t.none}</p>
            <div>
              <a class="btn" href={to('/settings/notifications')}>
                {t.add}
              </a>
            </div>
          </div>
        ) : (
          <div class="stack">
            <Choice
              label={t.which}
              showLabel
              value={only ? 'some' : 'all'}
              options={[
                ['all', t.all],
                ['some', t.some],
              ]}
              onChange={(which) =>
                change(set(definition, 'notify', which === 'all' ? undefined : items.map(({ name }) => name)))
              }
            />
            <ul class="ticks">
              {items.map(({ name, type, on }) => (
                <li key={name} class="row">
                  <Check
                    label={
                      <>
                        <b>{name}</b> <span class="mute">{type}</span>
                      </>
                    }
                    hint={on.map((event) => eventWords.value[event] ?? event).join(', ')}
                    disabled={!only}
                    value={!only || chosen.includes(name)}
                    onChange={(take) =>
                      change(set(definition, 'notify', take ? [...chosen, name] : chosen.filter((one) => one !== name)))
                    }
                  />
                  <span class="push">
                    <Act
                      kind="s"
                      run={async () => {
                        const { data } = await api.call('POST /api/v1/notifications/{name}/test', { params: { name } })
                        if (data.ok) tell('ok', t.sent)
                        else tell('bad', data.error?.message ?? '', data.error?.hint)
                      }}
                    >
                      {t.test}
                    </Act>
                  </span>
                </li>
              ))}
            </ul>
          </div>
        )
      }
    </Shown>
  )
}
