import { api } from '../../app/api.ts'
import { words } from '../../app/language.ts'
import { useLoad } from '../../app/load.ts'
import { pathOf, to } from '../../app/router.ts'
import { exact, zone } from '../../format/time.ts'
import { Notice } from '../../parts/notice.tsx'
import { Panel, Shown } from '../../parts/page.tsx'
import { Time } from '../../parts/time.tsx'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import { Frame } from './frame.tsx'

const text = words({
  en: {
    title: 'This server',
    version: 'Version',
    host: 'Host',
    up: 'Running since',
    data: 'Data',
    clock: 'Clock of the server',
    zones: 'Time zones',
    zoneText: (server: string, here: string) => `server ${server}, yours ${here}`,
    scheduler: 'Schedules',
    none: 'nobody',
    roots: 'Folders that may be browsed',
    queue: 'At work and waiting',
    idle: 'Nothing is at work.',
    skew: (s: number) => `The clock of the server and yours differ by ${s} seconds`,
    api: 'Reference of the API',
    by: 'by',
  },
  de: {
    title: 'Dieser Server',
    version: 'Version',
    host: 'Rechner',
    up: 'Läuft seit',
    data: 'Daten',
    clock: 'Uhr des Servers',
    zones: 'Zeitzonen',
    zoneText: (server: string, here: string) => `Server ${server}, Ihre ${here}`,
    scheduler: 'Pläne führt',
    none: 'niemand',
    roots: 'Ordner, die durchsucht werden dürfen',
    queue: 'In Arbeit und wartend',
    idle: 'Nichts ist in Arbeit.',
    skew: (s: number) => `Die Uhr des Servers und Ihre gehen ${s} Sekunden auseinander`,
    api: 'Beschreibung der API',
    by: 'von',
  },
})

/** Less is the way of the answer. */
const SKEW_MS = 30_000

export function Page() {
  const t = text.value
  const about = useLoad(
    async (signal) => {
      const { data } = await api.call('GET /api/v1/about', { signal })
      return { data: { ...data, skew: Math.abs(new Date(data.now).getTime() - Date.now()) } }
    },
    [],
    ['run.created', 'run.finished'],
  )
  return (
    <Frame
      tab="about"
      actions={
        <a class="btn" href={to('/api/docs')}>
          {t.api}
        </a>
      }
    >
      <Shown of={about}>
        {(data) => (
          <div class="stack">
            {data.skew > SKEW_MS && <Notice tone="warn" title={t.skew(Math.round(data.skew / 1000))} />}
            <Panel title={t.title} pad>
              <dl class="pairs">
                <dt>{t.version}</dt>
                <dd>
                  Holdfast {data.version}, Node {data.node}
                </dd>
                <dt>{t.host}</dt>
                <dd>{data.host}</dd>
                <dt>{t.up}</dt>
                <dd>
                  <Time at={data.startedAt} />
                </dd>
                <dt>{t.clock}</dt>
                <dd>{exact(data.now, data.timezone)}</dd>
                <dt>{t.zones}</dt>
                <dd>{t.zoneText(data.timezone, zone)}</dd>
                <dt>{t.data}</dt>
                <dd>
                  <code>{data.dataDir}</code>
                </dd>
                <dt>{t.scheduler}</dt>
                <dd>{data.scheduler ?? t.none}</dd>
                {data.roots.length > 0 && (
                  <>
                    <dt>{t.roots}</dt>
                    <dd>
                      {data.roots.map((root) => (
                        <code key={root}>{root} </code>
                      ))}
                    </dd>
                  </>
                )}
              </dl>
            </Panel>
            <Panel title={t.queue}>
              {data.queue.length === 0 ? (
                <p class="pad mute">{t.idle}</p>
              ) : (
                <table>
                  <tbody>
                    {data.queue.map(({ run, job, vault, kind, state, by }) => (
                      <tr key={run}>
                        <td>
                          <a class="name" href={to(pathOf('runs', run))}>
                            {vault ?? job}
                          </a>
                          <small>{common.value.kinds[kind as 'backup'] ?? kind}</small>
                        </td>
                        <td>{state}</td>
                        <td class="soft">{by !== undefined && `${t.by} ${by}`}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              )}
            </Panel>
          </div>
        )}
      </Shown>
      <Twin cli="holdfast doctor" http="GET /api/v1/about" />
    </Frame>
  )
}
