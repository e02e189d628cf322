/** Looking for damage in a vault: what the last look found, and another one. */
import { useSignal } from '@preact/signals'
import { type Answer, api, may } from '../../app/api.ts'
import { number } from '../../app/language.ts'
import { go, pathOf, to } from '../../app/router.ts'
import { Confirm } from '../../parts/dialog.tsx'
import { Choice } from '../../parts/form.tsx'
import { Panel } from '../../parts/page.tsx'
import { State } from '../../parts/state.tsx'
import { Moment, Time } from '../../parts/time.tsx'
import { text } from './text.ts'

type Vault = Answer<'GET /api/v1/vaults/{name}'>

const SHARES = { names: 0, some: 0.1, all: 1 } as const

export function Checked({ vault }: { vault: Vault }) {
  const t = text.value
  const { lastCheck, nextCheck } = vault
  const asking = useSignal(false)
  const found = lastCheck?.damaged
  return (
    <Panel
      title={t.check}
      actions={
        may('operate') && (
          <button type="button" class="btn s" onClick={() => (asking.value = true)}>
            {t.checkNow}
          </button>
        )
      }
      pad
    >
      {lastCheck === undefined ? (
        <p class="mute">{t.checkNever}</p>
      ) : (
        <p>
          <a href={to(pathOf('runs', lastCheck.run))}>
            <Moment at={lastCheck.at} />
          </a>{' '}
          <State of={lastCheck.status} />{' '}
          {lastCheck.readData !== undefined && t.checkRead(number(Math.round(lastCheck.readData * 100)))}
          {found === 0 && `, ${t.checkFine}`}
        </p>
      )}
      {lastCheck?.message !== undefined && <p class="bad">{lastCheck.message}</p>}
      {nextCheck !== undefined && (
        <p class="mute small">
          {t.checkNext} <Time at={nextCheck} />
        </p>
      )}
      {asking.value && <CheckDialog name={vault.name} onClose={() => (asking.value = false)} />}
    </Panel>
  )
}

function CheckDialog({ name, onClose }: { name: string; onClose: () => void }) {
  const t = text.value
  const chosen = useSignal<keyof typeof SHARES>('names')
  return (
    <Confirm
      title={t.checkTitle(name)}
      action={t.checkNow}
      danger={false}
      onClose={onClose}
      run={async () => {
        const { data } = await api.call('POST /api/v1/vaults/{name}/check', {
          params: { name },
          body: { readData: SHARES[chosen.value] },
        })
        go(to(pathOf('runs', data.id)))
      }}
    >
      <p>{t.checkText}</p>
      <Choice
        label={t.checkHow}
        value={chosen.value}
        options={[
          ['names', t.checkNames],
          ['some', t.checkSome],
          ['all', t.checkAll],
        ]}
        onChange={(value) => (chosen.value = value)}
      />
    </Confirm>
  )
}
