import { useSignal } from '@preact/signals'
import { type Answer, api, type ApiError, may } from '../../app/api.ts'
import { byName, words } from '../../app/language.ts'
import { useLoad } from '../../app/load.ts'
import { pathOf, to } from '../../app/router.ts'
import { type Definition, set, textAt, textsAt } from '../../forms/definition.ts'
import { complete, Fields } from '../../forms/fields.tsx'
import { NOTIFIERS } from '../../forms/specs.ts'
import { Act } from '../../parts/button.tsx'
import { Confirm, Dialog } from '../../parts/dialog.tsx'
import { Check, Select, Text } from '../../parts/form.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Menu, type MenuItem } from '../../parts/menu.tsx'
import { Empty, Failure } from '../../parts/notice.tsx'
import { Panel, Shown } from '../../parts/page.tsx'
import { Tag } from '../../parts/state.tsx'
import { tell } from '../../parts/toast.tsx'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import { eventsFor, eventWords } from './events.ts'
import { Frame } from './frame.tsx'
import { newKey } from '../../app/new-key.ts'

const text = words({
  en: {
    add: 'New notifier',
    edit: (name: string) => `Edit ${name}`,
    none: 'Nobody hears of failures yet',
    noneText: 'Alerts show on the overview in any case; a notifier brings them to you.',
    on: 'Told of',
    jobs: 'Jobs',
    all: 'all',
    kind: 'Kind',
    test: 'Send a test message',
    sent: 'Sent',
    managed: 'file',
    remove: 'Remove…',
    removeTitle: (name: string) => `Remove ${name}?`,
    removeText: 'Nobody is told through it any more.',
    types: byName({
      email: 'E-mail',
      slack: 'Slack, Mattermost',
      discord: 'Discord',
      telegram: 'Telegram',
      ntfy: 'ntfy',
      gotify: 'Gotify',
      healthchecks: 'healthchecks.io',
      opentelemetry: 'OpenTelemetry',
      webhook: 'Webhook',
      command: 'Program',
    }),
  },
  de: {
    add: 'Neuer Empfänger',
    edit: (name: string) => `${name} bearbeiten`,
    none: 'Noch erfährt niemand von Fehlschlägen',
    noneText: 'Meldungen stehen in jedem Fall auf der Übersicht; ein Empfänger bringt sie zu Ihnen.',
    on: 'Erfährt von',
    jobs: 'Aufträge',
    all: 'alle',
    kind: 'Art',
    test: 'Probenachricht senden',
    sent: 'Gesendet',
    managed: 'Datei',
    remove: 'Entfernen…',
    removeTitle: (name: string) => `${name} entfernen?`,
    removeText: 'Darüber wird niemand mehr benachrichtigt.',
    types: {
      email: 'E-Mail',
      slack: 'Slack, Mattermost',
      discord: 'Discord',
      telegram: 'Telegram',
      ntfy: 'ntfy',
      gotify: 'Gotify',
      healthchecks: 'healthchecks.io',
      opentelemetry: 'OpenTelemetry',
      webhook: 'Webhook',
      command: 'Programm',
    },
  },
})

type Notifier = Answer<'GET /api/v1/notifications'>['items'][number]

export function Page() {
  const t = text.value
  const notifiers = useLoad(async (signal) => api.call('GET /api/v1/notifications', { signal }), [])
  const editing = useSignal<Notifier | 'new' | undefined>(undefined)
  const removing = useSignal<string | undefined>(undefined)
  const add = may('admin') && (
    <button type="button" class="btn primary" onClick={() => (editing.value = 'new')}>
      <Icon name="plus" size={15} />
      {t.add}
    </button>
  )
  const open = editing.value
  return (
    <Frame tab="notifications" actions={add}>
      <Panel label={t.on}>
        <Shown of={notifiers}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty icon="bell" title={t.none} action={add}>
                {t.noneText}
              </Empty>
            ) : (
              <div class="scroll">
                <table>
                  <thead>
                    <tr>
                      <th>{common.value.name}</th>
                      <th>{t.on}</th>
                      <th class="hide-s">{t.jobs}</th>
                      <th>
                        <span class="sr">{common.value.actions}</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {items.map((one) => (
                      <Row
                        key={one.name}
                        notifier={one}
                        edit={() => (editing.value = one)}
                        remove={() => (removing.value = one.name)}
                      />
                    ))}
                  </tbody>
                </table>
              </div>
            )
          }
        </Shown>
      </Panel>
      <Twin cli="holdfast notify test NAME" http="GET /api/v1/notifications" />
      {open !== undefined && (
        <Editor
          notifier={open === 'new' ? undefined : open}
          onClose={() => (editing.value = undefined)}
          onDone={() => {
            editing.value = undefined
            notifiers.reload()
          }}
        />
      )}
      {removing.value !== undefined && (
        <Confirm
          title={t.removeTitle(removing.value)}
          action={common.value.remove}
          onClose={() => (removing.value = undefined)}
          run={async () => {
            await api.call('DELETE /api/v1/notifications/{name}', { params: { name: removing.value ?? '' } })
            notifiers.reload()
          }}
        >
          <p>{t.removeText}</p>
        </Confirm>
      )}
    </Frame>
  )
}

function Row({ notifier, edit, remove }: { notifier: Notifier; edit: () => void; remove: () => void }) {
  const t = text.value
  const { name, type, on, jobs, managed } = notifier
  const items: MenuItem[] =
    may('admin') && !managed
      ? [
          { text: common.value.edit, icon: 'edit', run: edit },
          { text: t.remove, icon: 'trash', danger: true, run: remove },
        ]
      : []
  return (
    <tr>
      <td>
        <b>{name}</b> {managed && <Tag text={t.managed} />}
        <small>{t.types[type] ?? type}</small>
      </td>
      <td>{on.map((event) => eventWords.value[event] ?? event).join(', ')}</td>
      <td class="hide-s">
        {jobs.map((job, at) => (
          <span key={job}>
            {at > 0 && ', '}
            <a href={to(pathOf('jobs', job))}>{job}</a>
          </span>
        ))}
      </td>
      <td class="acts">
        {may('operate') && (
          <Act
            kind="s"
            run={async () => {
              const { data } = await api.call('POST /api/v1/notifications/{name}/test', { params: { name } })
              if (data.ok) tell('ok', t.sent)
              else tell('bad', data.error?.message ?? name, data.error?.hint)
            }}
          >
            {t.test}
          </Act>
        )}{' '}
        {items.length > 0 && <Menu items={items} label={`${common.value.actions}: ${name}`} />}
      </td>
    </tr>
  )
}

function Editor({
  notifier,
  onClose,
  onDone,
}: {
  notifier: Notifier | undefined
  onClose: () => void
  onDone: () => void
}) {
  const t = text.value
  const name = useSignal(notifier?.name ?? '')
  const definition = useSignal<Definition>(
    notifier?.definition ?? { type: 'email', on: ['failure', 'recovered', 'overdue'] },
  )
  const error = useSignal<ApiError | undefined>(undefined)
  const type = textAt(definition.value, 'type')
  const on = textsAt(definition.value, 'on')
  const specs = NOTIFIERS[type] ?? []
  const tryIt = async (): Promise<void> => {
    error.value = undefined
    const { data } = await api.call('POST /api/v1/notifications/test', {
      body: { name: name.value.trim() || 'new', definition: definition.value },
    })
    if (data.error === undefined) tell('ok', t.sent)
    else tell('bad', data.error.message, data.error.hint)
  }
  const save = async (): Promise<void> => {
    error.value = undefined
    if (notifier === undefined)
      await api.call('POST /api/v1/notifications', {
        body: { name: name.value.trim(), definition: definition.value },
        idempotencyKey: newKey(),
      })
    else {
      const params = { name: notifier.name }
      const { etag } = await api.call('GET /api/v1/notifications/{name}', { params })
      await api.call('PUT /api/v1/notifications/{name}', {
        params,
        body: { definition: definition.value },
        ifMatch: etag ?? '',
      })
    }
    onDone()
  }
  return (
    <Dialog title={notifier === undefined ? t.add : t.edit(notifier.name)} onClose={onClose}>
      {notifier === undefined && (
        <Text
          label={common.value.name}
          value={name.value}
          placeholder="ops"
          onInput={(typed) => (name.value = typed)}
          required
        />
      )}
      <Select
        label={t.kind}
        value={type}
        options={Object.keys(NOTIFIERS).map((one) => [one, t.types[one] ?? one] as const)}
        onChange={(one) => (definition.value = { type: one, on: eventsFor(one).filter((event) => on.includes(event)) })}
      />
      <Fields key={type} specs={specs} value={definition.value} onChange={(next) => (definition.value = next)} />
      <fieldset class="field">
        <legend class="label">{t.on}</legend>
        <div class="row">
          {eventsFor(type).map((event) => (
            <Check
              key={event}
              label={eventWords.value[event]}
              value={on.includes(event)}
              onChange={(take) =>
                (definition.value = set(
                  definition.value,
                  'on',
                  take ? [...on, event] : on.filter((one) => one !== event),
                ))
              }
            />
          ))}
        </div>
      </fieldset>
      {error.value && <Failure error={error.value} />}
      <div class="buttons">
        <button type="button" class="btn" onClick={onClose}>
          {common.value.cancel}
        </button>
        <Act
          disabled={on.length === 0 || !complete(specs, definition.value)}
          run={tryIt}
          onError={(problem) => (error.value = problem)}
        >
          {t.test}
        </Act>
        <Act
          kind="primary"
          disabled={name.value.trim() === '' || on.length === 0 || !complete(specs, definition.value)}
          run={save}
          onError={(problem) => (error.value = problem)}
        >
          {common.value.save}
        </Act>
      </div>
    </Dialog>
  )
}
