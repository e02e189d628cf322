/** Paths of the page, below whatever prefix the server wrote into `<base>`. */
import { signal } from '@preact/signals'

const base = new URL(document.baseURI).pathname.replace(/\/$/, '')

/** Where the API is: the prefix alone. */
export const apiBase = base

interface Place {
  /** Without the prefix; begins with a slash. */
  path: string
  query: URLSearchParams
}

function here(): Place {
  const { pathname, search } = window.location
  const path = pathname.startsWith(base) ? pathname.slice(base.length) : pathname
  return { path: path.replace(/\/+$/, '') || '/', query: new URLSearchParams(search) }
}

export const place = signal<Place>(here())

/** The address of a page, for `href`. */
export function to(path: string, query: Record<string, string | undefined> = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') search.set(name, value)
  const text = search.toString()
  return `${base}${path}${text === '' ? '' : `?${text}`}`
}

/** Joins parts that may hold any character, such as names of jobs. */
export const pathOf = (...parts: string[]): string => `/${parts.map((part) => encodeURIComponent(part)).join('/')}`

export function go(address: string, { replace = false, keepScroll = false } = {}): void {
  if (replace) history.replaceState(null, '', address)
  else history.pushState(null, '', address)
  place.value = here()
  if (!keepScroll && !replace) window.scrollTo(0, 0)
}

/** Changes the query of the present page, without a step in the history. */
export function setQuery(change: Record<string, string | undefined>): void {
  const { path, query } = place.peek()
  const next: Record<string, string | undefined> = { ...Object.fromEntries(query), ...change }
  go(to(path, next), { replace: true })
}

window.addEventListener('popstate', () => {
  place.value = here()
})

document.addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return
  const link = event.target instanceof Element ? event.target.closest('a') : null
  if (link === null || link.target !== '' || link.hasAttribute('download') || link.origin !== window.location.origin)
    return
  const path = link.pathname.slice(base.length)
  if (!link.pathname.startsWith(base) || path.startsWith('/api/') || path === '/metrics') return
  event.preventDefault()
  go(link.href)
})

/** The parts of a path that a pattern such as `/jobs/:name` names; undefined if it does not fit. */
export function match(pattern: string, path: string): Record<string, string> | undefined {
  const [wanted, given] = [pattern.split('/'), path.split('/')]
  if (wanted.length !== given.length) return undefined
  const found: Record<string, string> = {}
  for (const [at, part] of wanted.entries()) {
    const text = given[at] ?? ''
    if (part.startsWith(':')) {
      try {
        found[part.slice(1)] = decodeURIComponent(text)
      } catch {
        return undefined
      }
    } else if (part !== text) return undefined
  }
  return found
}
