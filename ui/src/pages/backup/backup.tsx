import { useSignal } from '@preact/signals'
import { type Answer, api, may, problemOf } from '../../app/api.ts'
import { useLoad } from '../../app/load.ts'
import { go, pathOf, place, to } from '../../app/router.ts'
import type { PageProps } from '../../app/routes.ts'
import { size } from '../../format/size.ts'
import { Confirm } from '../../parts/dialog.tsx'
import { Menu, type MenuItem } from '../../parts/menu.tsx'
import { Notice } from '../../parts/notice.tsx'
import { Head, Panel, Shown } from '../../parts/page.tsx'
import { Tag } from '../../parts/state.tsx'
import { Moment, Time } from '../../parts/time.tsx'
import { tell } from '../../parts/toast.tsx'
import { quoted } from '../../format/shell.ts'
import { Twin } from '../../parts/twin.tsx'
import { moment } from '../../format/time.ts'
import { common } from '../../parts/words.ts'
import { number } from '../../app/language.ts'
import { text as jobText } from '../job/text.ts'
import { Browser } from './browser.tsx'
import { Compare } from './compare.tsx'
import { hasTables, Tables } from './tables.tsx'
import { text } from './text.ts'
import './backup.css'
import { newKey } from '../../app/new-key.ts'

export type BackupFull = Answer<'GET /api/v1/backups/{id}'>

const TABS = ['tables', 'files', 'diff', 'about'] as const

const ROUTES = { tables: '/tables', files: '/tree?path=', diff: '/diff?with=', about: '' }

/** Links into a backup name a folder, and no tab. */
const inFolder = (): boolean => place.value.query.has('path') || place.value.query.has('q')

export function Page({ params }: PageProps) {
  const id = params['id'] ?? ''
  const vault = place.value.query.get('vault') ?? undefined
  const backup = useLoad(
    async (signal) =>
      api.call('GET /api/v1/backups/{id}', { params: { id }, query: { ...(vault && { vault }) }, signal }),
    [id, vault],
    ['backup.'],
  )
  return (
    <Shown of={backup} lines={10}>
      {(data) => <BackupView backup={data} reload={() => backup.reload()} />}
    </Shown>
  )
}

function BackupView({ backup, reload }: { backup: BackupFull; reload: () => void }) {
  const t = text.value
  const removing = useSignal(false)
  const { id, job, vault, hold } = backup
  const tabs = TABS.filter((tab) => tab !== 'tables' || hasTables(backup)).map((tab) => [tab, t.tabs[tab]] as const)
  const tab =
    tabs.find(([one]) => one === place.value.query.get('tab'))?.[0] ??
    (inFolder() || !hasTables(backup) ? 'files' : 'tables')

  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work()
    } catch (thrown) {
      const error = problemOf(thrown)
      tell('bad', error.message, error.hint)
    }
  }
  const items: MenuItem[] = []
  if (may('operate'))
    items.push(
      {
        text: t.prove,
        icon: 'check',
        run: () =>
          void attempt(async () => {
            const { data } = await api.call('POST /api/v1/backups/{id}/verify', {
              params: { id },
              query: { vault },
              body: { level: 'V4' },
              idempotencyKey: newKey(),
            })
            go(to(pathOf('runs', data.id)))
          }),
      },
      {
        text: hold ? t.release : t.hold,
        icon: 'lock',
        run: () =>
          void attempt(async () => {
            await api.call('PATCH /api/v1/backups/{id}', { params: { id }, query: { vault }, body: { hold: !hold } })
            reload()
          }),
      },
    )
  if (may('delete')) items.push({ text: t.remove, icon: 'trash', danger: true, run: () => (removing.value = true) })
  return (
    <>
      <Head
        title={moment(backup.time)}
        name={`${job} ${moment(backup.time)}`}
        crumbs={[
          [t.restore, to('/restore')],
          [job, to('/restore', { job })],
        ]}
        tags={
          <>
            <Tag text={jobText.value.types[backup.type]} />
            <Tag
              tone={backup.proof.level >= 'V3' ? 'ok' : 'mute'}
              mark={backup.proof.level >= 'V3' ? '✓' : '○'}
              text={`${backup.proof.level} ${common.value.proof[backup.proof.level]}`}
            />
            {hold && <Tag text={jobText.value.held} title={t.holdHint} />}
          </>
        }
        sub={
          <>
            {backup.files !== undefined && `${t.files(backup.files)}, `}
            {size(backup.sourceBytes)} · <a href={to(pathOf('vaults', vault))}>{vault}</a> · <Time at={backup.time} />
          </>
        }
        actions={items.length > 0 && <Menu kind="btn icon" items={items} />}
      />
      <div class="stack s">
        {backup.broken !== undefined && (
          <Notice tone="bad" title={t.brokenTitle}>
            {backup.broken}
          </Notice>
        )}
        {backup.warnings > 0 && <Notice tone="warn" title={t.warnings(backup.warnings)} />}
      </div>
      <nav class="below-s">
        <BackupTabs tabs={tabs} tab={tab} vault={vault} />
      </nav>
      {tab === 'tables' && <Tables backup={backup} />}
      {tab === 'files' && <Browser backup={backup} />}
      {tab === 'diff' && <Compare backup={backup} />}
      {tab === 'about' && <About backup={backup} />}
      <Twin
        cli={`holdfast ${tab === 'diff' ? 'diff' : 'ls'} ${quoted(id)} --vault ${quoted(vault)}${tab === 'tables' ? ' --tables' : ''}`}
        http={`GET /api/v1/backups/${id}${ROUTES[tab]}`}
      />
      {removing.value && (
        <Confirm
          title={t.removeTitle}
          action={t.removeAction}
          name={id}
          onClose={() => (removing.value = false)}
          run={async () => {
            await api.call('DELETE /api/v1/backups/{id}', { params: { id }, query: { vault, confirm: id } })
            go(to(pathOf('jobs', job), { tab: 'backups' }))
          }}
        >
          <p>
            <b>
              {job}, {moment(backup.time)}, {size(backup.sourceBytes)}
            </b>
          </p>
          <p>{t.removeText}</p>
        </Confirm>
      )}
    </>
  )
}

/** As Tabs, but the vault stays in the address. */
function BackupTabs({ tabs, tab, vault }: { tabs: (readonly [string, string])[]; tab: string; vault: string }) {
  return (
    <div class="tabs">
      {tabs.map(([one, name], at) => (
        <a
          key={one}
          href={to(place.value.path, { vault, tab: at === 0 ? undefined : one })}
          aria-current={one === tab ? 'page' : undefined}
        >
          {name}
        </a>
      ))}
    </div>
  )
}

function About({ backup }: { backup: BackupFull }) {
  const t = text.value.facts
  const rows: [string, string | undefined][] = [
    [t.id, backup.id],
    [t.type, jobText.value.types[backup.type]],
    [t.host, backup.host],
    [t.paths, backup.paths.join('\n')],
    [t.files, backup.files === undefined ? undefined : number(backup.files)],
    [t.size, size(backup.sourceBytes)],
    [t.stored, size(backup.storedBytes)],
    [t.copies, backup.copies.filter((copy) => copy !== backup.vault).join(', ')],
    [t.parent, backup.parent],
    [t.needs, backup.needs.join('\n')],
    [t.tags, backup.tags.join(', ')],
    [t.encrypted, backup.encrypted === undefined ? undefined : backup.encrypted ? common.value.yes : common.value.no],
    [
      t.labels,
      Object.entries(backup.labels ?? {})
        .map(([name, value]) => `${name}: ${value}`)
        .join('\n'),
    ],
  ]
  return (
    <Panel label={text.value.tabs.about} pad>
      <dl class="pairs">
        <dt>{t.time}</dt>
        <dd>
          <Moment at={backup.time} />
        </dd>
        {rows.map(
          ([name, value]) =>
            value !== undefined &&
            value !== '' && (
              <>
                <dt key={name}>{name}</dt>
                <dd class="lines">{value}</dd>
              </>
            ),
        )}
        <dt>{t.proof}</dt>
        <dd>
          {backup.proof.level} {common.value.proof[backup.proof.level]} · <Moment at={backup.proof.at} />
        </dd>
      </dl>
    </Panel>
  )
}
