/** What each service wants to be sent, as its documentation has it. */
import { createHmac } from 'node:crypto'
import type { Notification, NotifyEvent } from '../model/notify.ts'
import type { ServiceNotifySettings } from '../model/settings.ts'
import type { Post } from './post.ts'

type Of<Type extends ServiceNotifySettings['type']> = Extract<ServiceNotifySettings, { type: Type }>

const JSON_TYPE = { 'content-type': 'application/json' }
const BAD: readonly NotifyEvent[] = ['failure', 'overdue']

const json = (url: string, body: unknown, headers: Record<string, string> = {}): Post => ({
  url,
  headers: { ...JSON_TYPE, ...headers },
  body: JSON.stringify(body),
})

/** Services refuse what is too long. */
function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 2).toWellFormed()} …`
}

const join = (base: string, path: string): string => `${base.replace(/\/+$/, '')}/${path}`

/** Incoming webhooks: a text for the notification, blocks for the channel. */
export async function slack({ url }: Of<'slack'>, { title, text }: Notification): Promise<Post> {
  const escaped = (part: string): string =>
    part.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  const block = (part: string): object => ({ type: 'section', text: { type: 'mrkdwn', text: part } })
  return json(await url.read(), {
    text: escaped(title),
    blocks: [block(`*${escaped(cut(title, 250))}*`), block(`\`\`\`${escaped(cut(text, 2500))}\`\`\``)],
  })
}

export async function discord({ url }: Of<'discord'>, { title, text, event, time }: Notification): Promise<Post> {
  const color = BAD.includes(event) ? 0xc0392b : event === 'warning' ? 0xd68910 : 0x1e8449
  return json(await url.read(), {
    embeds: [{ title: cut(title, 256), description: cut(text, 4000), color, timestamp: time.toISOString() }],
    // Names in a message must wake nobody.
    allowed_mentions: { parse: [] },
  })
}

export async function telegram({ url, token, chatId }: Of<'telegram'>, { title, text }: Notification): Promise<Post> {
  return json(join(url ?? 'https://api.telegram.org', `bot${await token.read()}/sendMessage`), {
    chat_id: chatId,
    text: cut(`${title}\n\n${text}`, 4000),
    link_preview_options: { is_disabled: true },
  })
}

export async function ntfy({ url, topic, token }: Of<'ntfy'>, { title, text, event }: Notification): Promise<Post> {
  const priority = BAD.includes(event) ? 4 : event === 'warning' ? 3 : 2
  const tags = BAD.includes(event) ? ['rotating_light'] : event === 'warning' ? ['warning'] : ['white_check_mark']
  const body = { topic, title: cut(title, 250), message: cut(text, 3800), priority, tags }
  return json(url ?? 'https://ntfy.sh', body, token && { authorization: `Bearer ${await token.read()}` })
}

export async function gotify({ url, token }: Of<'gotify'>, { title, text, event }: Notification): Promise<Post> {
  const priority = BAD.includes(event) ? 8 : event === 'warning' ? 5 : 2
  return json(join(url, 'message'), { title, message: text, priority }, { 'x-gotify-key': await token.read() })
}

/** Our own form, or the user's. Signed so that the receiver can tell who sent it and when. */
export async function webhook(settings: Of<'webhook'>, notification: Notification): Promise<Post> {
  const { url, method, secret, body: template } = settings
  const body = template === undefined ? JSON.stringify(plainForm(notification)) : filled(template, notification)
  const headers: Record<string, string> = { ...JSON_TYPE, 'x-holdfast-event': notification.event }
  for (const [name, value] of Object.entries(settings.headers ?? {})) headers[name.toLowerCase()] = await value.read()
  if (secret !== undefined) {
    const at = Math.floor(notification.time.getTime() / 1000)
    const sum = createHmac('sha256', await secret.read())
      .update(`${at}.${body}`)
      .digest('hex')
    headers['x-holdfast-signature'] = `t=${at},v1=${sum}`
  }
  return { url: await url.read(), headers, body, ...(method && { method }) }
}

export function plainForm({ event, title, text, host, time, runs }: Notification): Record<string, unknown> {
  return {
    event,
    title,
    text,
    host,
    time,
    runs: runs.map((run) => ({
      id: run.id,
      kind: run.kind,
      job: run.job,
      vault: run.vault,
      status: run.status,
      startedAt: run.startedAt,
      endedAt: run.endedAt,
      backupId: run.backupId,
      error: run.error,
      warningCount: run.warningCount,
      ...run.summary,
    })),
  }
}

/** `{title}` and so on, as the inside of a JSON text. */
function filled(template: string, { event, title, text, host, time, runs }: Notification): string {
  const [first] = runs
  const values: Record<string, string> = {
    event,
    title,
    text,
    host,
    time: time.toISOString(),
    job: first?.job ?? '',
    status: first?.status ?? '',
    runId: first?.id ?? '',
  }
  return template.replaceAll(/\{(\w+)\}/g, (whole, key: string) => {
    const value = values[key]
    return value === undefined ? whole : JSON.stringify(value).slice(1, -1)
  })
}
