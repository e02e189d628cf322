/** One sheet that opens a vault without this server: made in the browser, of what was typed just now. */
import { type Definition, get, objectAt, textAt } from '../../forms/definition.ts'
import { exact } from '../../format/time.ts'
import { quoted } from '../../parts/twin.tsx'

/** As commands name it. */
function addressOf(storage: Definition): string {
  const at = (path: string): string => textAt(storage, path)
  if (at('type') === 'file') return at('path')
  if (at('type') === 's3') {
    const query = new URLSearchParams()
    for (const name of ['region', 'endpoint']) if (at(name) !== '') query.set(name, at(name))
    const text = query.toString()
    return `s3://${at('bucket')}/${at('prefix')}${text === '' ? '' : `?${text}`}`
  }
  return `${at('type')}: ${['host', 'bucket', 'container', 'path', 'prefix'].map(at).filter(Boolean).join(' ')}`
}

/** As restic names it. */
function resticOf(storage: Definition, address: string): string {
  if (textAt(storage, 'type') !== 's3') return address
  const server = textAt(storage, 'endpoint') || 'https://s3.amazonaws.com'
  return `s3:${server.replace(/\/$/, '')}/${textAt(storage, 'bucket')}/${textAt(storage, 'prefix')}`
}

export function kitOf(name: string, definition: Definition): string {
  const url = get(definition, 'storage')
  const address = typeof url === 'string' ? url : addressOf(objectAt(definition, 'storage'))
  const password = textAt(definition, 'password')
  const archive = textAt(definition, 'format') === 'archive'
  const storage = objectAt(definition, 'storage')
  const keys = ['accessKeyId', 'secretAccessKey', 'user', 'account', 'accountKey']
    .map((key) => [key, textAt(storage, key)] as const)
    .filter(([, value]) => value !== '')
  const lines = [
    'HOLDFAST RECOVERY KIT',
    `made ${exact(new Date())} on ${window.location.host}`,
    '',
    `Vault     ${name}`,
    `Address   ${address}`,
    `Format    ${archive ? 'archive' : "repository (restic's format)"}`,
    `Password  ${password === '' ? '(none: not encrypted)' : password}`,
    ...keys.map(([key, value]) => `${key}  ${value}`),
    '',
    'On any machine with Node.js 24:',
    '',
    `  npm install -g holdfast`,
    `  holdfast list --vault ${quoted(address)}`,
    `  holdfast restore latest --vault ${quoted(address)} --to ./restored`,
    '',
    ...(archive
      ? ['Without Holdfast: the vault holds RECOVERY.md and restore.mjs, which needs nothing but Node.js.']
      : [
          'Without Holdfast: any restic opens it.',
          '',
          `  restic -r ${quoted(resticOf(storage, address))} snapshots`,
          `  restic -r ${quoted(resticOf(storage, address))} restore latest --target ./restored`,
        ]),
    '',
    'A new server takes the vault over, with all its backups:',
    '',
    `  holdfast connect ${quoted(address)}`,
    '',
    'Whoever has this sheet can read the backups. Keep it where this machine is not.',
    '',
  ]
  return lines.join('\n')
}

export function saveKit(text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
  const link = document.createElement('a')
  link.href = url
  link.download = 'holdfast-recovery-kit.txt'
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
