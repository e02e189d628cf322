import { html, raw, type Markup } from './markup.ts'
import { showTime } from './outcome.ts'
import { STYLE } from './style.ts'

const ANCHOR = raw(
  '<svg width="22" height="22" viewBox="0 0 24 24" fill="none" stroke="var(--accent)" stroke-width="2.2" stroke-linecap="round" aria-hidden="true"><path d="M12 3v11M12 14c-4 0-7 2-7 6M12 14c4 0 7 2 7 6M12 14v7"/><circle cx="12" cy="3.4" r="1.6"/></svg>',
)

/** A page that needs nothing beside itself: no script, and nothing is fetched. */
export function page({
  title,
  what,
  version,
  time,
  main,
  foot,
}: {
  title: string
  what: string
  version: string
  time: Date
  main: Markup
  foot: string
}): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width,initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="generator" content="Holdfast ${version}" />
        <title>${title}</title>
        <style>
          ${raw(STYLE)}
        </style>
      </head>
      <body>
        <div class="page">
          <header class="top">
            ${ANCHOR}<b>Holdfast</b><span>${what}</span><time datetime="${time.toISOString()}">${showTime(time)}</time>
          </header>
          <main>${main}</main>
          <footer>${foot} · times are UTC, sizes in powers of 1,024</footer>
        </div>
      </body>
    </html> `.text
}
