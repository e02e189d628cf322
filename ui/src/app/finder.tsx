/** `/`: goes to a page or a job, or looks for files in all backups. */
import { signal, useSignal } from '@preact/signals'
import { useEffect, useId } from 'preact/hooks'
import { api } from './api.ts'
import { words } from './language.ts'
import { go, pathOf, to } from './router.ts'
import { NAV, navText } from './nav.ts'
import { Dialog } from '../parts/dialog.tsx'
import { Icon, type IconName } from '../parts/icon.tsx'

export const finding = signal(false)

const text = words({
  en: {
    title: 'Find',
    what: 'A page, a job, or a file in the backups',
    files: (q: string) => `Look for “${q}” in all backups`,
    keys: 'Keys: / finds, g then o j b r v a s goes to a page',
  },
  de: {
    title: 'Suchen',
    what: 'Eine Seite, ein Auftrag oder eine Datei in den Sicherungen',
    files: (q: string) => `„${q}“ in allen Sicherungen suchen`,
    keys: 'Tasten: / sucht, g und dann o j b r v a s öffnet eine Seite',
  },
})

interface Found {
  icon: IconName
  name: string
  note?: string
  href: string
}

export function Finder() {
  return finding.value ? <Open /> : null
}

function Open() {
  const t = text.value
  const id = useId()
  const typed = useSignal('')
  const at = useSignal(0)
  const jobs = useSignal<Found[]>([])
  useEffect(() => {
    const abort = new AbortController()
    const q = typed.value.trim()
    const timer = setTimeout(() => {
      api
        .call('GET /api/v1/jobs', { query: { limit: 8, ...(q !== '' && { q }) }, signal: abort.signal })
        .then(({ data }) => {
          jobs.value = data.items.map(({ name, source }) => ({
            icon: 'backups',
            name,
            note: source.name,
            href: to(pathOf('jobs', name)),
          }))
        })
        .catch(() => {})
    }, 120)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [typed.value])

  const q = typed.value.trim()
  const fits = (name: string): boolean => name.toLowerCase().includes(q.toLowerCase())
  const found: Found[] = [
    ...NAV.map(([name, path, key]) => ({ icon: name, name: navText(name), note: `g ${key}`, href: to(path) })).filter(
      ({ name }) => fits(name),
    ),
    ...jobs.value.filter(({ name }) => fits(name)),
    ...(q === '' ? [] : [{ icon: 'search' as const, name: t.files(q), href: to('/restore', { q }) }]),
  ]
  const chosen = Math.min(at.value, found.length - 1)
  const close = (): void => {
    finding.value = false
  }
  const open = (one: Found | undefined): void => {
    if (one === undefined) return
    close()
    go(one.href)
  }
  return (
    <Dialog title={t.title} onClose={close}>
      <input
        class="input"
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={`${id}-${chosen}`}
        aria-label={t.what}
        placeholder={t.what}
        value={typed.value}
        autofocus
        onInput={(event) => {
          typed.value = event.currentTarget.value
          at.value = 0
        }}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown') at.value = Math.min(chosen + 1, found.length - 1)
          else if (event.key === 'ArrowUp') at.value = Math.max(chosen - 1, 0)
          else if (event.key === 'Enter') open(found[chosen])
          else return
          event.preventDefault()
        }}
      />
      <div class="found" id={id} role="listbox" aria-label={t.title}>
        {found.map((one, row) => (
          <div
            key={one.href}
            id={`${id}-${row}`}
            role="option"
            aria-selected={row === chosen}
            onClick={() => open(one)}
            onMouseEnter={() => (at.value = row)}
          >
            <Icon name={one.icon} />
            <span class="clip">{one.name}</span>
            {one.note !== undefined && <span class="mute push clip">{one.note}</span>}
          </div>
        ))}
      </div>
      <p class="mute small">{t.keys}</p>
    </Dialog>
  )
}
