import { useSignal } from '@preact/signals'
import { type Answer, api, type ApiError, may, problemOf } from '../../app/api.ts'
import { useLoad, usePages } from '../../app/load.ts'
import { go, pathOf, to } from '../../app/router.ts'
import type { PageProps } from '../../app/routes.ts'
import { Spark } from '../../charts/spark.tsx'
import { size } from '../../format/size.ts'
import { Checks, type CheckAnswer } from '../../forms/checks.tsx'
import { Act } from '../../parts/button.tsx'
import { Confirm } from '../../parts/dialog.tsx'
import { Menu, type MenuItem } from '../../parts/menu.tsx'
import { Empty, Notice } from '../../parts/notice.tsx'
import { Head, Listed, Panel, Shown } from '../../parts/page.tsx'
import { Tag } from '../../parts/state.tsx'
import { Time } from '../../parts/time.tsx'
import { tell } from '../../parts/toast.tsx'
import { quoted } from '../../format/shell.ts'
import { Twin } from '../../parts/twin.tsx'
import { BackupTable } from '../job/backup-table.tsx'
import { Checked } from './check.tsx'
import { text } from './text.ts'
import './vaults.css'

type Vault = Answer<'GET /api/v1/vaults/{name}'>

export function Page({ params }: PageProps) {
  const name = params['name'] ?? ''
  const vault = useLoad(
    async (signal) => api.call('GET /api/v1/vaults/{name}', { params: { name }, signal }),
    [name],
    ['vault.', 'backup.', 'run.finished'],
  )
  return (
    <Shown of={vault} lines={10}>
      {(data) => <VaultView vault={data} reload={() => vault.reload()} />}
    </Shown>
  )
}

function VaultView({ vault, reload }: { vault: Vault; reload: () => void }) {
  const t = text.value
  const { name, managed, jobs } = vault
  const removing = useSignal(false)
  const found = useSignal<CheckAnswer | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const items: MenuItem[] = []
  if (may('operate'))
    items.push({
      text: t.refresh,
      icon: 'restore',
      run: () =>
        void api.call('POST /api/v1/vaults/{name}/refresh', { params: { name } }).then(
          ({ data }) => {
            tell('ok', t.refreshed(data.backups))
            reload()
          },
          (thrown: unknown) => {
            error.value = problemOf(thrown)
          },
        ),
    })
  if (may('admin') && !managed)
    items.push({ text: t.remove, icon: 'trash', danger: true, run: () => (removing.value = true) })
  return (
    <>
      <Head
        title={name}
        crumbs={[[t.title, to('/vaults')]]}
        tags={
          <>
            <Tag text={t.formats[vault.format]} title={t.formatHints[vault.format]} />
            <Tag text={vault.encrypted ? t.encrypted : t.open} />
            {managed && <Tag text={t.managed} title={t.managedHint} />}
          </>
        }
        sub={
          <>
            {t.types[vault.storage.type] ?? vault.storage.type} <code>{vault.storage.name}</code>
          </>
        }
        actions={
          <>
            {may('operate') && (
              <Act
                run={async () => {
                  error.value = undefined
                  found.value = (await api.call('POST /api/v1/vaults/{name}/test', { params: { name } })).data
                }}
                onError={(problem) => (error.value = problem)}
              >
                {t.test}
              </Act>
            )}
            {may('admin') && !managed && (
              <a class="btn" href={to(`${pathOf('vaults', name)}/edit`)}>
                {t.edit}
              </a>
            )}
            {items.length > 0 && <Menu kind="btn icon" items={items} />}
          </>
        }
      />
      <div class="stack">
        {vault.problem !== undefined && <Notice tone="bad" title={vault.problem} />}
        <Checks of={found.value} error={error.value} />
        <Usage vault={vault} />
        <Checked vault={vault} />
        <Contents name={name} />
      </div>
      <Twin
        cli={`holdfast list --vault ${quoted(name)}`}
        http={`GET /api/v1/vaults/${name}`}
        yaml={vault.yaml === '' ? undefined : vault.yaml}
      />
      {removing.value && (
        <Confirm
          title={t.removeTitle(name)}
          action={t.removeAction}
          name={name}
          onClose={() => (removing.value = false)}
          run={async () => {
            await api.call('DELETE /api/v1/vaults/{name}', { params: { name } })
            go(to('/vaults'))
          }}
        >
          <p>{t.removeText}</p>
          {jobs.length > 0 && (
            <p class="bad">
              <b>{t.inUse(jobs.join(', '))}</b>
            </p>
          )}
        </Confirm>
      )}
    </>
  )
}

function Usage({ vault }: { vault: Vault }) {
  const t = text.value
  const { usage, bytes, free, growthPerDay, daysToFull, limits, checkedAt } = vault
  const values = usage.map((point) => point.bytes)
  return (
    <Panel title={t.usage}>
      <div class="figs">
        <div>
          <b>{size(bytes)}</b>
          <small>
            {t.used}, {t.backups(vault.backups)}
          </small>
        </div>
        <div>
          <b>{growthPerDay === undefined ? '–' : `${growthPerDay > 0 ? '+' : ''}${size(growthPerDay)}`}</b>
          <small>
            {t.grows}
            {daysToFull !== undefined && daysToFull < 3650 && `, ${t.full(Math.round(daysToFull))}`}
          </small>
        </div>
        <div>
          <b>{limits?.stop !== undefined ? size(limits.stop) : size(free)}</b>
          <small>{limits?.stop !== undefined ? t.limit : t.free}</small>
        </div>
        <div>
          <b class="when">{checkedAt === undefined ? '–' : <Time at={checkedAt} />}</b>
          <small>
            {t.last}, {t.jobs(vault.jobs.length)}
          </small>
        </div>
      </div>
      {values.length > 1 ? (
        <div class="usage-chart">
          <Spark
            values={values}
            fill
            width={900}
            height={90}
            label={t.usageLabel(size(values[0]), size(values.at(-1)))}
          />
        </div>
      ) : (
        <p class="pad mute small">{t.usageNone}</p>
      )}
    </Panel>
  )
}

function Contents({ name }: { name: string }) {
  const t = text.value
  const backups = usePages(
    async (cursor, signal) =>
      api.call('GET /api/v1/backups', { query: { vault: name, limit: 25, ...(cursor && { cursor }) }, signal }),
    [name],
    ['backup.'],
  )
  return (
    <Panel title={t.content}>
      <Listed of={backups} empty={<Empty icon="backups" title={t.backups(0)} />}>
        {(items) => <BackupTable backups={items} showJob />}
      </Listed>
    </Panel>
  )
}
