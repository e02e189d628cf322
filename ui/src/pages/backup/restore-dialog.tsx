/** Where to, what happens to what is there, a look before anything is written, and then a run. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { type Answer, api, type ApiError, type Body, problemOf } from '../../app/api.ts'
import { byName, count, number, words } from '../../app/language.ts'
import { go, pathOf, to } from '../../app/router.ts'
import { size } from '../../format/size.ts'
import { Dialog } from '../../parts/dialog.tsx'
import { Check, Choice, Text } from '../../parts/form.tsx'
import { Failure, Notice } from '../../parts/notice.tsx'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import type { BackupFull } from './backup.tsx'
import { newKey } from '../../app/new-key.ts'

const text = words({
  en: {
    title: (n: number) => (n === 0 ? 'Restore everything' : `Restore ${count(n, 'item', 'items')}`),
    where: 'Where to',
    to: { folder: 'Another folder', original: 'Where it came from', database: 'Database' },
    folder: 'Folder on the server',
    folderHint: 'Each path is made below it. It may be new.',
    originalWarning: 'Files of today are replaced by those of the backup where they differ.',
    database: 'Name of the database',
    databaseHint: 'Empty: a new one, with the time in its name.',
    file: 'File of the database',
    from: 'Which database of the backup',
    host: 'Server',
    hostHint: 'Empty: the one of the job.',
    port: 'Port',
    user: 'User',
    password: 'Password',
    other: 'Another server',
    aside: 'Put it in the place of what is there',
    asideHint: 'What is there now is renamed and kept.',
    asideFile: 'The file that is there is replaced.',
    overwrite: 'What is there already',
    modes: { never: 'Keep', 'if-newer': 'If older', 'if-changed': 'If different', always: 'Replace' },
    remove: 'Remove what the backup does not have',
    removeHint: 'The place is then as it was, with nothing besides.',
    look: 'Look first',
    start: 'Restore',
    plan: (files: number, bytes: string) => `${count(files, 'file', 'files')}, ${bytes}`,
    free: (text: string) => `of ${text} free`,
    effects: byName({
      create: 'new',
      replace: 'replaced',
      metadata: 'rights or times set',
      unchanged: 'as they are',
      keep: 'kept',
      delete: 'removed',
    }),
    replaced: 'Would be replaced',
    fine: 'Nothing stands in the way.',
    old: 'Something was changed since: look again.',
  },
  de: {
    title: (n: number) => (n === 0 ? 'Alles zurückholen' : `${count(n, 'Eintrag', 'Einträge')} zurückholen`),
    where: 'Wohin',
    to: { folder: 'In einen anderen Ordner', original: 'Wo es herkam', database: 'Datenbank' },
    folder: 'Ordner auf dem Server',
    folderHint: 'Jeder Pfad entsteht darunter. Er darf neu sein.',
    originalWarning: 'Heutige Dateien werden durch die der Sicherung ersetzt, wo sie sich unterscheiden.',
    database: 'Name der Datenbank',
    databaseHint: 'Leer: eine neue, mit der Zeit im Namen.',
    file: 'Datei der Datenbank',
    from: 'Welche Datenbank der Sicherung',
    host: 'Server',
    hostHint: 'Leer: der des Auftrags.',
    port: 'Port',
    user: 'Benutzer',
    password: 'Passwort',
    other: 'Ein anderer Server',
    aside: 'An die Stelle dessen setzen, was dort ist',
    asideHint: 'Was jetzt dort ist, wird umbenannt und behalten.',
    asideFile: 'Die Datei, die dort ist, wird ersetzt.',
    overwrite: 'Was schon da ist',
    modes: { never: 'Behalten', 'if-newer': 'Wenn älter', 'if-changed': 'Wenn anders', always: 'Ersetzen' },
    remove: 'Entfernen, was die Sicherung nicht hat',
    removeHint: 'Der Ort ist danach wie damals, ohne anderes daneben.',
    look: 'Erst ansehen',
    start: 'Zurückholen',
    plan: (files: number, bytes: string) => `${count(files, 'Datei', 'Dateien')}, ${bytes}`,
    free: (text: string) => `von ${text} frei`,
    effects: {
      create: 'neu',
      replace: 'ersetzt',
      metadata: 'Rechte oder Zeiten gesetzt',
      unchanged: 'wie sie sind',
      keep: 'behalten',
      delete: 'entfernt',
    },
    replaced: 'Würde ersetzt',
    fine: 'Nichts steht im Weg.',
    old: 'Seitdem hat sich etwas geändert: noch einmal ansehen.',
  },
})

type RestoreBody = Body<'POST /api/v1/restores'>
type Plan = Answer<'POST /api/v1/restores/plan'>
const MODES = ['never', 'if-newer', 'if-changed', 'always'] as const

type Place = 'folder' | 'original' | 'database'

/** Of a backup: all of it, or some paths. */
export function RestoreDialog({
  backup,
  paths,
  from,
  onClose,
}: {
  backup: BackupFull
  paths: string[]
  /** Tables of this database. */
  from?: string | undefined
  onClose: () => void
}) {
  const isDatabase = !['files', 'command'].includes(backup.source)
  return (
    <RestoreForm
      title={text.value.title(paths.length)}
      source={backup.source}
      places={from !== undefined ? ['database'] : isDatabase ? ['database', 'folder'] : ['folder', 'original']}
      from={from}
      original={backup.paths}
      wanted={{ backup: backup.id, vault: backup.vault, paths }}
      onClose={onClose}
    />
  )
}

/** What is wanted is a backup or a moment; the first of `places` is where it goes unless somebody chooses. */
export function RestoreForm({
  title,
  source,
  places,
  original = [],
  from = '',
  wanted,
  onClose,
}: {
  title: string
  source: string
  places: readonly [Place, ...Place[]]
  original?: readonly string[]
  from?: string | undefined
  wanted: Pick<RestoreBody, 'backup' | 'vault' | 'paths' | 'job' | 'at' | 'before'>
  onClose: () => void
}) {
  const t = text.value
  const isMoment = wanted.backup === undefined
  const where = useSignal<Place>(places[0])
  const folder = useSignal('')
  const database = useSignal({ database: '', host: '', port: '', user: '', password: '', file: '', from })
  const elsewhere = useSignal(false)
  const overwrite = useSignal<(typeof MODES)[number]>('never')
  const remove = useSignal(false)
  const aside = useSignal(false)
  const plan = useSignal<Plan | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const busy = useSignal<'plan' | 'start' | undefined>(undefined)

  const target = (): RestoreBody['to'] => {
    if (where.value === 'folder') return { type: 'folder', path: folder.value.trim() }
    if (where.value === 'original') return { type: 'original' }
    const given = Object.entries(database.value).filter(([, value]) => value.trim() !== '')
    const { port, ...rest } = Object.fromEntries(given)
    return { type: 'database', ...rest, ...(port !== undefined && { port: Number(port) }) }
  }
  const body = (): RestoreBody => ({
    ...wanted,
    to: target(),
    ...(where.value !== 'database' && !isMoment && { overwrite: overwrite.value }),
    ...(where.value === 'database' && aside.value && { overwrite: 'always' as const }),
    ...(remove.value && { delete: true }),
  })
  // A plan is of what was asked then.
  const asked = JSON.stringify(body())
  const planned = useSignal('')
  useEffect(() => {
    error.value = undefined
  }, [asked])
  const work = async (what: 'plan' | 'start'): Promise<void> => {
    busy.value = what
    error.value = undefined
    try {
      if (what === 'plan') {
        plan.value = (await api.call('POST /api/v1/restores/plan', { body: body() })).data
        planned.value = asked
      } else {
        const { data } = await api.call('POST /api/v1/restores', {
          body: body(),
          idempotencyKey: newKey(),
        })
        onClose()
        go(to(pathOf('runs', data.id)))
      }
    } catch (thrown) {
      error.value = problemOf(thrown)
    }
    busy.value = undefined
  }
  const ready =
    (where.value !== 'folder' || folder.value.trim() !== '') &&
    (!(isMoment && source === 'sqlite') || database.value.file.trim() !== '')
  const current = plan.value !== undefined && planned.value === asked
  return (
    <Dialog title={title} onClose={onClose}>
      {places.length > 1 && (
        <Choice
          label={t.where}
          showLabel
          value={where.value}
          options={places.map((one) => [one, t.to[one]] as const)}
          onChange={(one) => {
            where.value = one
            overwrite.value = one === 'original' ? 'if-changed' : 'never'
          }}
        />
      )}
      {where.value === 'folder' && (
        <Text
          label={t.folder}
          hint={t.folderHint}
          value={folder.value}
          onInput={(typed) => (folder.value = typed)}
          placeholder="/srv/restored"
          mono
        />
      )}
      {where.value === 'original' && (
        <Notice tone="warn" title={original.slice(0, 3).join(', ')}>
          {t.originalWarning}
        </Notice>
      )}
      {where.value === 'database' && (
        <DatabaseTarget
          source={source}
          value={database.value}
          onChange={(value) => (database.value = value)}
          elsewhere={elsewhere.value}
          onElsewhere={(on) => (elsewhere.value = on)}
        />
      )}
      {where.value === 'database' && !isMoment && (
        <Check
          label={t.aside}
          hint={source === 'sqlite' ? t.asideFile : t.asideHint}
          value={aside.value}
          onChange={(on) => (aside.value = on)}
        />
      )}
      {where.value !== 'database' && !isMoment && (
        <>
          <Choice
            label={t.overwrite}
            showLabel
            value={overwrite.value}
            options={MODES.map((one) => [one, t.modes[one]] as const)}
            onChange={(one) => (overwrite.value = one)}
          />
          {wanted.paths?.length === 0 && (
            <Check label={t.remove} hint={t.removeHint} value={remove.value} onChange={(on) => (remove.value = on)} />
          )}
        </>
      )}
      {plan.value !== undefined && <PlanView plan={plan.value} current={current} />}
      {error.value !== undefined && <Failure error={error.value} />}
      <div class="buttons">
        <button type="button" class="btn" onClick={onClose}>
          {common.value.cancel}
        </button>
        <button
          type="button"
          class={`btn ${current ? '' : 'primary'}`}
          disabled={!ready || busy.value !== undefined}
          onClick={() => void work('plan')}
        >
          {busy.value === 'plan' && <span class="spin" />}
          {t.look}
        </button>
        <button
          type="button"
          class="btn primary"
          disabled={!current || plan.value?.ok === false || busy.value !== undefined}
          onClick={() => void work('start')}
        >
          {busy.value === 'start' && <span class="spin" />}
          {t.start}
        </button>
      </div>
      {current && <Twin cli={plan.value?.command} http="POST /api/v1/restores" />}
    </Dialog>
  )
}

function PlanView({ plan, current }: { plan: Plan; current: boolean }) {
  const t = text.value
  const effects = Object.entries(plan.effects).filter(([, n]) => n > 0)
  return (
    <div class="plan" aria-live="polite">
      <p>
        <b>{t.plan(plan.files, size(plan.bytes))}</b> → <code>{plan.target}</code>
        {plan.free !== undefined && <span class="mute"> · {t.free(size(plan.free))}</span>}
      </p>
      {effects.length > 0 && (
        <p class="soft">{effects.map(([effect, n]) => `${number(n)} ${t.effects[effect] ?? effect}`).join(' · ')}</p>
      )}
      {plan.replaced.length > 0 && (
        <details>
          <summary>
            {t.replaced} ({plan.replaced.length})
          </summary>
          <ul class="small">
            {plan.replaced.slice(0, 20).map((path) => (
              <li key={path}>
                <code>{path}</code>
              </li>
            ))}
          </ul>
        </details>
      )}
      {plan.problems.map((problem) => (
        <p key={problem} class="bad">
          ✕ {problem}
        </p>
      ))}
      {plan.ok && current && <p class="ok">✓ {t.fine}</p>}
      {!current && <p class="warn">! {t.old}</p>}
    </div>
  )
}

interface DatabaseValue {
  database: string
  host: string
  port: string
  user: string
  password: string
  file: string
  from: string
}

function DatabaseTarget({
  source,
  value,
  onChange,
  elsewhere,
  onElsewhere,
}: {
  source: string
  value: DatabaseValue
  onChange: (value: DatabaseValue) => void
  elsewhere: boolean
  onElsewhere: (on: boolean) => void
}) {
  const t = text.value
  const set = (change: Partial<DatabaseValue>): void => onChange({ ...value, ...change })
  if (source === 'sqlite')
    return (
      <Text
        label={t.file}
        value={value.file}
        onInput={(file) => set({ file })}
        placeholder="/srv/restored/app.db"
        mono
      />
    )
  return (
    <>
      <div class="grid2">
        <Text
          label={t.database}
          hint={t.databaseHint}
          value={value.database}
          onInput={(database) => set({ database })}
          mono
        />
        <Text label={t.from} value={value.from} onInput={(from) => set({ from })} mono />
      </div>
      <Check label={t.other} value={elsewhere} onChange={onElsewhere} />
      {elsewhere && (
        <div class="grid2">
          <Text label={t.host} hint={t.hostHint} value={value.host} onInput={(host) => set({ host })} mono />
          <Text label={t.port} value={value.port} onInput={(port) => set({ port })} inputMode="numeric" mono />
          <Text label={t.user} value={value.user} onInput={(user) => set({ user })} autocomplete="off" />
          <Text
            label={t.password}
            type="password"
            value={value.password}
            onInput={(password) => set({ password })}
            autocomplete="new-password"
          />
        </div>
      )}
    </>
  )
}
