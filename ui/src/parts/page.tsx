import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { Loaded, Pages } from '../app/load.ts'
import { Failure, Wait } from './notice.tsx'
import { common } from './words.ts'

let shown = ''

/** The heading of a page: names the tab too, and takes the focus after a step to another page. */
export function Head({
  title,
  name = title,
  crumbs = [],
  tags,
  sub,
  actions,
}: {
  title: string
  /** For the tab, where it says more. */
  name?: string
  crumbs?: [text: string, href: string][]
  tags?: ComponentChildren
  sub?: ComponentChildren
  actions?: ComponentChildren
}) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${name} · Holdfast`
    const first = shown === ''
    if (shown === window.location.pathname) return
    shown = window.location.pathname
    if (!first) heading.current?.focus({ preventScroll: true })
  }, [name])
  return (
    <div class="head">
      <div>
        {crumbs.length > 0 && (
          <nav class="crumbs" aria-label="Path">
            {crumbs.map(([text, href]) => (
              <span key={href}>
                <a href={href}>{text}</a> /
              </span>
            ))}
          </nav>
        )}
        <h1 ref={heading} tabIndex={-1}>
          {title} {tags}
        </h1>
        {sub !== undefined && <p class="sub">{sub}</p>}
      </div>
      {actions !== undefined && <div class="actions">{actions}</div>}
    </div>
  )
}

export function Panel({
  title,
  actions,
  children,
  pad = false,
  label,
}: {
  title?: ComponentChildren
  actions?: ComponentChildren
  children: ComponentChildren
  pad?: boolean
  /** Where there is no title. */
  label?: string
}) {
  return (
    <section class="panel" aria-label={label ?? (typeof title === 'string' ? title : undefined)}>
      {(title !== undefined || actions !== undefined) && (
        <header>
          <h2>{title}</h2>
          {actions !== undefined && <div class="actions">{actions}</div>}
        </header>
      )}
      {pad ? <div class="pad">{children}</div> : children}
    </section>
  )
}

/** What came, or that it is on its way, or why it did not come. */
export function Shown<T>({
  of,
  children,
  lines = 4,
}: {
  of: Loaded<T>
  children: (data: T) => ComponentChildren
  lines?: number
}) {
  if (of.data !== undefined)
    return (
      <>
        {of.error !== undefined && of.error.status !== 0 && <Failure error={of.error} retry={() => of.reload()} />}
        {children(of.data)}
      </>
    )
  if (of.error !== undefined) return <Failure error={of.error} retry={() => of.reload()} />
  return <Wait lines={lines} />
}

/** The same of a list in pages. */
export function Listed<T>({
  of,
  children,
  empty,
}: {
  of: Pages<T>
  children: (items: T[]) => ComponentChildren
  empty: ComponentChildren
}) {
  if (of.items === undefined)
    return of.error === undefined ? (
      <Wait lines={6} />
    ) : (
      <div class="pad">
        <Failure error={of.error} retry={() => of.reload()} />
      </div>
    )
  if (of.items.length === 0) return <>{empty}</>
  return (
    <>
      {children(of.items)}
      {of.more !== undefined && (
        <div class="more">
          <button type="button" class="btn s" disabled={of.loading} onClick={of.more}>
            {of.loading && <span class="spin" />}
            {common.value.more}
          </button>
        </div>
      )}
    </>
  )
}
