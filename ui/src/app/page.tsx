/** Shows the page that the address names. */
import { useComputed, useSignal } from '@preact/signals'
import type { ComponentType } from 'preact'
import { useEffect, useErrorBoundary } from 'preact/hooks'
import { problemOf, type ApiError } from './api.ts'
import { words } from './language.ts'
import { match, place, to } from './router.ts'
import { type PageProps, ROUTES } from './routes.ts'
import { Empty, Failure, Wait } from '../parts/notice.tsx'
import { Head } from '../parts/page.tsx'

const text = words({
  en: { nothing: 'There is no such page', home: 'To the overview', broken: 'This page stumbled' },
  de: { nothing: 'Diese Seite gibt es nicht', home: 'Zur Übersicht', broken: 'Diese Seite ist gestolpert' },
})

interface Found {
  pattern: string
  Page: ComponentType<PageProps>
}

const pages = new Map<string, ComponentType<PageProps>>()

export function CurrentPage() {
  const wanted = useComputed(() => {
    for (const [pattern, load] of ROUTES) {
      const params = match(pattern, place.value.path)
      if (params !== undefined) return { pattern, load, params }
    }
    return undefined
  })
  const found = useSignal<Found | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const pattern = wanted.value?.pattern
  useEffect(() => {
    const route = wanted.peek()
    if (route === undefined) return
    const known = pages.get(route.pattern)
    if (known !== undefined) {
      found.value = { pattern: route.pattern, Page: known }
      return
    }
    error.value = undefined
    route.load().then(
      ({ Page }) => {
        pages.set(route.pattern, Page)
        if (wanted.peek()?.pattern === route.pattern) found.value = { pattern: route.pattern, Page }
      },
      (thrown: unknown) => {
        error.value = problemOf(thrown)
      },
    )
  }, [pattern])

  if (wanted.value === undefined)
    return (
      <>
        <Head title={text.value.nothing} />
        <Empty title={place.value.path} action={<a href={to('/')}>{text.value.home}</a>} />
      </>
    )
  if (error.value !== undefined) return <Failure error={error.value} retry={() => window.location.reload()} />
  const shown = found.value
  if (shown === undefined || shown.pattern !== pattern) return <Wait lines={8} />
  const { Page } = shown
  // Another job is another page: nothing of the first one stays.
  const key = `${pattern} ${Object.values(wanted.value.params).join('/')}`
  return <Guarded key={key} Page={Page} params={wanted.value.params} />
}

function Guarded({ Page, params }: { Page: ComponentType<PageProps>; params: Record<string, string> }) {
  const [thrown, reset] = useErrorBoundary()
  if (thrown !== undefined) return <Failure title={text.value.broken} error={problemOf(thrown)} retry={() => reset()} />
  return <Page params={params} />
}
