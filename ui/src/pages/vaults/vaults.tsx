import { api, may } from '../../app/api.ts'
import { useLoad } from '../../app/load.ts'
import { pathOf, to } from '../../app/router.ts'
import { Bar } from '../../charts/bar.tsx'
import { size } from '../../format/size.ts'
import { Icon } from '../../parts/icon.tsx'
import { Empty } from '../../parts/notice.tsx'
import { Head, Shown } from '../../parts/page.tsx'
import { Tag } from '../../parts/state.tsx'
import { Time } from '../../parts/time.tsx'
import { Twin } from '../../parts/twin.tsx'
import { shareOf, toneOfVault } from '../overview/storage-list.tsx'
import { text as overview } from '../overview/text.ts'
import { text } from './text.ts'
import './vaults.css'

export function Page() {
  const t = text.value
  const vaults = useLoad(
    async (signal) => api.call('GET /api/v1/vaults', { signal }),
    [],
    ['vault.', 'backup.', 'run.finished'],
  )
  const create = may('admin') && (
    <a class="btn primary" href={to('/vaults/new')}>
      <Icon name="plus" size={15} />
      {t.new}
    </a>
  )
  return (
    <>
      <Head title={t.title} sub={t.sub} actions={create} />
      <Shown of={vaults}>
        {({ items }) =>
          items.length === 0 ? (
            <section class="panel">
              <Empty icon="vaults" title={t.none} action={create}>
                {t.noneText}
              </Empty>
            </section>
          ) : (
            <ul class="tiles">
              {items.map((vault) => {
                const share = shareOf(vault)
                const { name, storage, bytes, growthPerDay, daysToFull, problem } = vault
                return (
                  <li key={name} class={`panel tile${problem === undefined ? '' : ' bad'}`}>
                    <div class="row">
                      <a class="name" href={to(pathOf('vaults', name))}>
                        {name}
                      </a>
                      <span class="row tight push">
                        {vault.managed && <Tag text={t.managed} title={t.managedHint} />}
                        <Tag text={t.formats[vault.format]} />
                      </span>
                    </div>
                    <p class="mute small break">
                      {t.types[storage.type] ?? storage.type} · <code>{storage.name}</code>
                    </p>
                    {share !== undefined && (
                      <Bar share={share} tone={toneOfVault(vault)} label={overview.value.used(size(bytes), share)} />
                    )}
                    <p class="soft">
                      <b>{size(bytes)}</b> · {t.backups(vault.backups)} · {t.jobs(vault.jobs.length)}
                    </p>
                    <p class="mute small">
                      {growthPerDay !== undefined &&
                        growthPerDay !== 0 &&
                        `${overview.value.perDay(`${growthPerDay > 0 ? '+' : ''}${size(growthPerDay)}`)} `}
                      {daysToFull !== undefined && daysToFull < 3650 && `· ${t.full(Math.round(daysToFull))} `}
                      {vault.checkedAt !== undefined && (
                        <>
                          · {t.last} <Time at={vault.checkedAt} />
                        </>
                      )}
                    </p>
                    {problem !== undefined && <p class="bad small break">✕ {problem}</p>}
                  </li>
                )
              })}
            </ul>
          )
        }
      </Shown>
      <Twin cli="holdfast stats" http="GET /api/v1/vaults" />
    </>
  )
}
