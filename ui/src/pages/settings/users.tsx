import { useSignal } from '@preact/signals'
import { type Answer, api, type ApiError, me } from '../../app/api.ts'
import { words } from '../../app/language.ts'
import { useLoad } from '../../app/load.ts'
import { Act } from '../../parts/button.tsx'
import { Confirm, Dialog } from '../../parts/dialog.tsx'
import { Select, Text } from '../../parts/form.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Menu, type MenuItem } from '../../parts/menu.tsx'
import { Failure } from '../../parts/notice.tsx'
import { Panel, Shown } from '../../parts/page.tsx'
import { Tag } from '../../parts/state.tsx'
import { Time } from '../../parts/time.tsx'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import { Frame } from './frame.tsx'

type User = Answer<'GET /api/v1/users'>['items'][number]
type Role = User['role']
const ROLES: Role[] = ['viewer', 'operator', 'restorer', 'admin']

const text = words({
  en: {
    title: 'Users',
    add: 'Add a user',
    role: 'Role',
    roles: {
      viewer: 'Viewer: sees',
      operator: 'Operator: also runs, pauses, acknowledges',
      restorer: 'Restorer: sees, restores, downloads',
      admin: 'Admin: everything',
    } satisfies Record<Role, string>,
    short: { viewer: 'viewer', operator: 'operator', restorer: 'restorer', admin: 'admin' } satisfies Record<
      Role,
      string
    >,
    password: 'Password',
    passwordHint: 'At least 10 characters; it can be changed after the first sign-in.',
    newPassword: 'New password',
    seen: 'Last seen',
    second: 'second factor',
    oidc: 'by the identity provider',
    off: 'may not sign in',
    change: 'Role and password…',
    block: 'Block',
    unblock: 'Let in again',
    noSecond: 'Take the second factor off',
    remove: 'Remove…',
    removeTitle: (name: string) => `Remove ${name}?`,
    removeText: 'All sessions and tokens of this user end at once. The audit log keeps what was done.',
    you: 'you',
  },
  de: {
    title: 'Benutzer',
    add: 'Benutzer anlegen',
    role: 'Rolle',
    roles: {
      viewer: 'Betrachter: sieht',
      operator: 'Bediener: startet, pausiert, nimmt zur Kenntnis',
      restorer: 'Rückholer: sieht, holt zurück, lädt herunter',
      admin: 'Verwalter: alles',
    },
    short: { viewer: 'Betrachter', operator: 'Bediener', restorer: 'Rückholer', admin: 'Verwalter' },
    password: 'Passwort',
    passwordHint: 'Mindestens 10 Zeichen; nach der ersten Anmeldung änderbar.',
    newPassword: 'Neues Passwort',
    seen: 'Zuletzt gesehen',
    second: 'zweiter Faktor',
    oidc: 'über den Anmeldedienst',
    off: 'gesperrt',
    change: 'Rolle und Passwort…',
    block: 'Sperren',
    unblock: 'Wieder zulassen',
    noSecond: 'Zweiten Faktor abnehmen',
    remove: 'Entfernen…',
    removeTitle: (name: string) => `${name} entfernen?`,
    removeText: 'Alle Sitzungen und Schlüssel enden sofort. Das Prüfprotokoll behält, was getan wurde.',
    you: 'Sie',
  },
})

export function Page() {
  const t = text.value
  const users = useLoad(async (signal) => api.call('GET /api/v1/users', { signal }), [])
  const editing = useSignal<User | 'new' | undefined>(undefined)
  const removing = useSignal<User | undefined>(undefined)
  const patch = async (id: string, body: { disabled?: boolean; totp?: false }): Promise<void> => {
    await api.call('PATCH /api/v1/users/{id}', { params: { id }, body })
    users.reload()
  }
  const open = editing.value
  return (
    <Frame
      tab="users"
      actions={
        <button type="button" class="btn primary" onClick={() => (editing.value = 'new')}>
          <Icon name="plus" size={15} />
          {t.add}
        </button>
      }
    >
      <Panel label={t.title}>
        <Shown of={users}>
          {({ items }) => (
            <div class="scroll">
              <table>
                <thead>
                  <tr>
                    <th>{common.value.name}</th>
                    <th>{t.role}</th>
                    <th class="hide-s">{t.seen}</th>
                    <th>
                      <span class="sr">{common.value.actions}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((user) => {
                    const self = user.name === me.value?.name
                    const menu: (MenuItem | '-')[] = [
                      { text: t.change, icon: 'edit', run: () => (editing.value = user) },
                    ]
                    if (user.totp)
                      menu.push({ text: t.noSecond, icon: 'key', run: () => void patch(user.id, { totp: false }) })
                    if (!self)
                      menu.push(
                        {
                          text: user.disabled ? t.unblock : t.block,
                          icon: 'lock',
                          run: () => void patch(user.id, { disabled: !user.disabled }),
                        },
                        '-',
                        { text: t.remove, icon: 'trash', danger: true, run: () => (removing.value = user) },
                      )
                    return (
                      <tr key={user.id}>
                        <td>
                          <span class="row tight">
                            <b>{user.name}</b>
                            {self && <Tag text={t.you} />}
                            {user.totp && <Tag tone="ok" mark="✓" text={t.second} />}
                            {user.disabled && <Tag tone="bad" mark="✕" text={t.off} />}
                          </span>
                          {user.oidc && <small>{t.oidc}</small>}
                        </td>
                        <td>{t.short[user.role]}</td>
                        <td class="hide-s">
                          {user.lastSeenAt === undefined ? (
                            <span class="mute">{common.value.never}</span>
                          ) : (
                            <Time at={user.lastSeenAt} />
                          )}
                        </td>
                        <td class="acts">
                          <Menu items={menu} label={`${common.value.actions}: ${user.name}`} />
                        </td>
                      </tr>
                    )
                  })}
                </tbody>
              </table>
            </div>
          )}
        </Shown>
      </Panel>
      <Twin cli="holdfast user list" http="GET /api/v1/users" />
      {open !== undefined && (
        <Editor
          user={open === 'new' ? undefined : open}
          onClose={() => (editing.value = undefined)}
          onDone={() => {
            editing.value = undefined
            users.reload()
          }}
        />
      )}
      {removing.value !== undefined && (
        <Confirm
          title={t.removeTitle(removing.value.name)}
          name={removing.value.name}
          action={common.value.remove}
          onClose={() => (removing.value = undefined)}
          run={async () => {
            await api.call('DELETE /api/v1/users/{id}', { params: { id: removing.value?.id ?? '' } })
            users.reload()
          }}
        >
          <p>{t.removeText}</p>
        </Confirm>
      )}
    </Frame>
  )
}

function Editor({ user, onClose, onDone }: { user: User | undefined; onClose: () => void; onDone: () => void }) {
  const t = text.value
  const name = useSignal('')
  const password = useSignal('')
  const role = useSignal<Role>(user?.role ?? 'operator')
  const error = useSignal<ApiError | undefined>(undefined)
  const short = password.value !== '' && password.value.length < 10
  return (
    <Dialog title={user?.name ?? t.add} onClose={onClose}>
      {user === undefined && (
        <Text
          label={common.value.name}
          value={name.value}
          onInput={(typed) => (name.value = typed)}
          autocomplete="off"
          required
        />
      )}
      <Select
        label={t.role}
        value={role.value}
        options={ROLES.map((one) => [one, t.roles[one]] as const)}
        onChange={(one) => (role.value = one)}
      />
      <Text
        label={user === undefined ? t.password : t.newPassword}
        hint={t.passwordHint}
        type="password"
        autocomplete="new-password"
        value={password.value}
        onInput={(typed) => (password.value = typed)}
      />
      {error.value && <Failure error={error.value} />}
      <div class="buttons">
        <button type="button" class="btn" onClick={onClose}>
          {common.value.cancel}
        </button>
        <Act
          kind="primary"
          disabled={short || (user === undefined && (name.value.trim() === '' || password.value === ''))}
          onError={(problem) => (error.value = problem)}
          run={async () => {
            if (user === undefined)
              await api.call('POST /api/v1/users', {
                body: { name: name.value.trim(), password: password.value, role: role.value },
              })
            else
              await api.call('PATCH /api/v1/users/{id}', {
                params: { id: user.id },
                body: { role: role.value, ...(password.value !== '' && { password: password.value }) },
              })
            onDone()
          }}
        >
          {common.value.save}
        </Act>
      </div>
    </Dialog>
  )
}
