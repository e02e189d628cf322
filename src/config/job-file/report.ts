import { hostname } from 'node:os'
import { extname } from 'node:path'
import type { Env } from '../environment.ts'
import { isTree, type KeyPath } from '../key-path.ts'
import { Group, type Taken, type Translation } from './group.ts'

const RECIPIENTS = ['to', 'recipients', 'errorRecipients']
const MAIL = ['notify', 'mail']

/** `report`, `reporting` or `reportPath`, and the mail settings wherever they stand. */
export function translateReport(top: Group, translation: Translation, env: Env): void {
  const given = top.take('report', 'reporting')
  const report = isTree(given?.value) ? new Group(given.value, given.path, translation) : undefined
  const paths = [
    report === undefined ? given : report.take('path', 'reportPath', 'html', 'htmlPath', 'file', 'output'),
    top.take('reportPath', 'htmlReport'),
  ]
  for (const path of paths) if (path !== undefined) putPath(path, translation)
  report?.move(['report', 'json'], 'json', 'jsonPath')

  const mail = top.group('email', 'mail', 'alerts')
  const recipients = [
    mail?.take(...RECIPIENTS),
    report?.take('recipients', 'errorRecipients', 'email'),
    top.take('recipients', 'errorRecipients'),
  ].find((one) => one !== undefined)
  const server = mail?.has('smtp', 'host', 'auth') === true ? mail : top
  translateMail(mail, server, recipients, translation, env)
  mail?.end()
  report?.end()
}

/** A path without `.html` or `.json` is a folder. */
function putPath({ value, path }: Taken, translation: Translation): void {
  if (typeof value !== 'string') return translation.put(['report', 'html'], value, path)
  const extension = extname(value).toLowerCase()
  if (extension === '.json') return translation.put(['report', 'json'], value, path)
  const page = ['.html', '.htm'].includes(extension) ? value : `${value.replace(/\/$/, '')}/backup-{date}_{time}.html`
  translation.put(['report', 'html'], page, path)
}

function translateMail(
  mail: Group | undefined,
  server: Group,
  recipients: Taken | undefined,
  translation: Translation,
  env: Env,
): void {
  const enabled = mail?.take('enabled')?.value
  const from = mail?.path ?? recipients?.path
  const smtp = server.group('smtp')
  if (from === undefined || enabled === false) return
  translation.place(MAIL, from)
  translation.put([...MAIL, 'type'], 'email', from)
  if (recipients !== undefined) translation.put([...MAIL, 'to'], recipients.value, recipients.path)
  const said = mail?.move([...MAIL, 'on'], 'on') ?? false
  if (!said) translation.put([...MAIL, 'on'], ['failure', 'warning'], from)
  const sender = smtp?.take('from') ?? mail?.take('from', 'sender')
  translation.put(
    [...MAIL, 'from'],
    sender?.value ?? fallback(env, ['SMTP_FROM', 'MAIL_FROM'], `holdfast@${hostname()}`),
    sender?.path ?? from,
  )
  const groups = [smtp, server === mail ? mail : undefined].filter((group) => group !== undefined)
  const moved = groups.map((group) => moveServer(group, translation))
  if (!moved.includes(true)) serverFromEnv(from, translation, env)
  smtp?.end()
}

/** The server, in one group or with its log-in in `auth` as the mail library writes it. */
function moveServer(group: Group, translation: Translation): boolean {
  const at = [...MAIL, 'smtp']
  translation.place(at, group.path)
  const host = group.move([...at, 'host'], 'host', 'server')
  group.move([...at, 'port'], 'port')
  group.move([...at, 'secure'], 'secure')
  group.move([...at, 'ca'], 'ca')
  const tls = group.group('tls')
  tls?.move([...at, 'ca'], 'ca')
  tls?.move([...at, 'rejectUnauthorized'], 'rejectUnauthorized')
  tls?.end()
  const auth = group.group('auth')
  for (const login of [group, ...(auth === undefined ? [] : [auth])]) {
    login.move([...at, 'user'], 'user', 'username')
    login.moveSecret([...at, 'password'], 'pass', 'password')
  }
  auth?.end()
  return host
}

/** Recipients alone: the server of the environment, else the one of this machine. */
function serverFromEnv(from: KeyPath, translation: Translation, env: Env): void {
  const at = [...MAIL, 'smtp']
  const remote = Boolean(env['SMTP_HOST'])
  translation.put([...at, 'host'], fallback(env, ['SMTP_HOST'], 'localhost'), from)
  translation.put([...at, 'port'], fallback(env, ['SMTP_PORT'], remote ? 587 : 25), from)
  translation.put([...at, 'user'], fallback(env, ['SMTP_USER', 'SMTP_USERNAME'], undefined), from)
  translation.put([...at, 'password'], fallback(env, ['SMTP_PASSWORD', 'SMTP_PASS'], undefined), from)
}

function fallback(env: Env, names: string[], otherwise: unknown): unknown {
  const name = names.find((one) => env[one])
  return name === undefined ? otherwise : `\${env:${name}}`
}
