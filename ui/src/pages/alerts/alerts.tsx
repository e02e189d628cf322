import { api } from '../../app/api.ts'
import { words } from '../../app/language.ts'
import { useLoad } from '../../app/load.ts'
import { place, setQuery } from '../../app/router.ts'
import { Choice } from '../../parts/form.tsx'
import { Empty } from '../../parts/notice.tsx'
import { Head, Panel, Shown } from '../../parts/page.tsx'
import { Twin } from '../../parts/twin.tsx'
import { AlertRows } from './rows.tsx'

const text = words({
  en: {
    title: 'Alerts',
    sub: 'What is wrong until it is right again: opened once, closed by itself.',
    open: 'Open',
    all: 'All',
    which: 'Which alerts',
    none: 'Nothing is wrong',
    noneText: 'Failures, overdue runs, old proofs and full storages show up here.',
  },
  de: {
    title: 'Meldungen',
    sub: 'Was nicht stimmt, bis es wieder stimmt: einmal gemeldet, von selbst erledigt.',
    open: 'Offen',
    all: 'Alle',
    which: 'Welche Meldungen',
    none: 'Alles in Ordnung',
    noneText: 'Fehlschläge, Überfälliges, alte Nachweise und volle Speicher erscheinen hier.',
  },
})

export function Page() {
  const t = text.value
  const which = place.value.query.get('show') === 'all' ? 'all' : 'open'
  const alerts = useLoad(
    async (signal) =>
      api.call('GET /api/v1/alerts', { query: { limit: 200, ...(which === 'open' && { open: 'true' }) }, signal }),
    [which],
    ['alert.'],
  )
  return (
    <>
      <Head
        title={t.title}
        sub={t.sub}
        actions={
          <Choice
            label={t.which}
            value={which}
            options={[
              ['open', t.open],
              ['all', t.all],
            ]}
            onChange={(show) => setQuery({ show: show === 'all' ? 'all' : undefined })}
          />
        }
      />
      <Panel label={t.title}>
        <Shown of={alerts}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty icon="check" title={t.none}>
                {t.noneText}
              </Empty>
            ) : (
              <AlertRows alerts={items} onChange={() => alerts.reload()} />
            )
          }
        </Shown>
      </Panel>
      <Twin
        cli={`holdfast alert list${which === 'all' ? ' --all' : ''}`}
        http={`GET /api/v1/alerts${which === 'open' ? '?open=true' : ''}`}
      />
    </>
  )
}
