/** One sheet that opens a vault without this server: made in the browser, of what was typed just now. */
import { type Definition, get, objectAt, textAt } from '../../forms/definition.ts'
import { quoted } from '../../format/shell.ts'

/** How restic opens it: its name of the place, and what it wants in the environment. Undefined where it cannot. */
function resticOf(storage: Definition): { repository: string; env: [string, string][] } | undefined {
  const at = (path: string): string => textAt(storage, path)
  const prefix = at('prefix').replaceAll(/^\/+|\/+$/g, '')
  switch (at('type')) {
    case 'file':
      return { repository: at('path'), env: [] }
    case 's3':
      return {
        repository: `s3:${(at('endpoint') || 'https://s3.amazonaws.com').replace(/\/$/, '')}/${at('bucket')}/${prefix}`,
        env: [
          ['AWS_ACCESS_KEY_ID', at('accessKeyId')],
          ['AWS_SECRET_ACCESS_KEY', at('secretAccessKey')],
          ['AWS_DEFAULT_REGION', at('region')],
        ],
      }
    case 'gcs':
      return { repository: `gs:${at('bucket')}:/${prefix}`, env: [['GOOGLE_APPLICATION_CREDENTIALS', 'FILE']] }
    case 'azure':
      return {
        repository: `azure:${at('container')}:/${prefix}`,
        env: [
          ['AZURE_ACCOUNT_NAME', at('account')],
          ['AZURE_ACCOUNT_KEY', at('accountKey')],
        ],
      }
    case 'sftp': {
      const user = at('user') === '' ? '' : `${at('user')}@`
      const port = at('port') === '' ? '' : `:${at('port')}`
      const path = at('path').startsWith('/') ? `/${at('path')}` : `/${at('path').replace(/^~\//, '')}`
      return { repository: `sftp://${user}${at('host')}${port}${path}`, env: [] }
    }
    case 'rclone':
      return { repository: `rclone:${at('remote')}`, env: [] }
    default:
      return undefined
  }
}

function withoutHoldfast(definition: Definition): string[] {
  if (textAt(definition, 'format') === 'archive')
    return ['Without Holdfast: the vault holds RECOVERY.md and restore.mjs, which needs nothing but Node.js.']
  const storage = objectAt(definition, 'storage')
  const restic = textAt(storage, 'type') === '' ? undefined : resticOf(storage)
  if (restic === undefined)
    return ["Without Holdfast: it is a repository of restic's format. Copy it to a folder; any restic opens it there."]
  const given = restic.env.filter(([, value]) => value !== '')
  return [
    'Without Holdfast: any restic opens it, with the password from above.',
    '',
    ...given.map(([name, value]) => `  export ${name}=${quoted(value)}`),
    `  restic -r ${quoted(restic.repository)} snapshots`,
    `  restic -r ${quoted(restic.repository)} restore latest --target ./restored`,
  ]
}

/** `host`: of the page it was made on. */
export function kitOf(name: string, definition: Definition, { host, made }: { host: string; made: Date }): string {
  const archive = textAt(definition, 'format') === 'archive'
  const password = get(definition, 'password')
  const vault = JSON.stringify({ version: 1, vaults: { [name]: definition } }, undefined, 2)
  return [
    'HOLDFAST RECOVERY KIT',
    `made ${made.toISOString()} on ${host}`,
    '',
    `Vault     ${name}`,
    `Format    ${archive ? 'archive' : "repository (restic's format)"}`,
    `Password  ${typeof password === 'string' && password !== '' ? password : '(none: not encrypted)'}`,
    '',
    'On any machine with Node.js 24: save what stands between the lines as holdfast.yaml in a new folder, and run there',
    '',
    `  npm install -g holdfast`,
    `  holdfast list --vault ${quoted(name)}`,
    `  holdfast restore latest --vault ${quoted(name)} --to ./restored`,
    '',
    '----------------------------------------',
    vault,
    '----------------------------------------',
    '',
    ...withoutHoldfast(definition),
    '',
    'A new server takes the vault over, with all its backups, when its configuration has the same lines:',
    '',
    `  holdfast connect ${quoted(name)}`,
    '',
    'Whoever has this sheet can read the backups. Keep it where this machine is not.',
    '',
  ].join('\n')
}
