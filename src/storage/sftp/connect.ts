import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AnyAuthMethod, Client, ConnectConfig, ParsedKey, ServerHostKeyAlgorithm, SFTPWrapper } from 'ssh2'
import { AppError, errno } from '../../base/errors.ts'
import { homeFolder, userName } from '../../base/user.ts'
import type { SftpStorageSettings } from '../../model/settings.ts'
import { optionalSdk } from '../optional-sdk.ts'
import { sftpError } from './errors.ts'
import { fingerprint, knownHosts, typeOf, type KnownHosts } from './host-keys.ts'
import { prepareKeys } from './prepared-keys.ts'
import { session, type Session } from './session.ts'

type Settings = Omit<SftpStorageSettings, 'type'>
type Ssh2 = typeof import('ssh2')

const DEFAULT_CONNECT_TIMEOUT_MS = 15_000
export const DEFAULT_IDLE_TIMEOUT_MS = 60_000
const DEFAULT_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa']
const SYSTEM_KNOWN_HOSTS = '/etc/ssh/ssh_known_hosts'

/** Logs in and opens a session. */
export async function connect(settings: Settings, name: string): Promise<Session> {
  const ssh2 = await optionalSdk(async () => (await import('ssh2')).default, 'SFTP', 'ssh2@1')
  const { host, port = 22 } = settings
  const tried = `connect to ${name}`
  const known = await knownKeys(settings)
  let refusal: AppError | undefined
  const config: ConnectConfig = {
    host,
    port,
    username: settings.user ?? userName(),
    readyTimeout: settings.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    keepaliveInterval: 15_000,
    keepaliveCountMax: 4,
    authHandler: await methods(ssh2, settings),
    hostVerifier: (key: Buffer) => {
      refusal = verify(key, settings, known, tried)
      return refusal === undefined
    },
    // What is known of the server first, else it may show another of its keys.
    algorithms: { serverHostKey: preferred(known) },
  }
  const client = new ssh2.Client()
  // Else each small request waits 40 ms for the acknowledgement of the one before.
  client.once('ready', () => client.setNoDelay(true))
  prepareKeys(client)
  try {
    const sftp = await open(client, config)
    return session(client, sftp, settings.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS)
  } catch (error) {
    client.destroy()
    throw refusal ?? sftpError(error, tried)
  }
}

async function open(client: Client, config: ConnectConfig): Promise<SFTPWrapper> {
  return new Promise((resolve, reject) => {
    client.once('error', reject)
    client.once('close', () => reject(new AppError('storage.unreachable', 'the connection was closed')))
    client.once('ready', () => client.sftp((error, sftp) => (error ? reject(error) : resolve(sftp))))
    client.connect(config)
  })
}

/** In this order: the key of the settings, the agent, the usual keys of the user, the password. */
async function methods(ssh2: Ssh2, settings: Settings): Promise<AnyAuthMethod[]> {
  const username = settings.user ?? userName()
  const found: AnyAuthMethod[] = []
  const key = await secretText(settings.privateKey)
  const passphrase = await secretText(settings.passphrase)
  if (key !== undefined) found.push({ type: 'publickey', username, key: parsed(ssh2, key, passphrase) })
  const explicit = key !== undefined || settings.password !== undefined
  const agent = settings.agent ?? (explicit ? undefined : process.env['SSH_AUTH_SOCK'])
  if (agent !== undefined && agent !== '' && agent !== 'none') found.push({ type: 'agent', username, agent })
  if (!explicit)
    for (const name of DEFAULT_KEYS) {
      const usual = await textOf(join(homeFolder(), '.ssh', name))
      const one = usual === undefined ? undefined : ssh2.utils.parseKey(usual, passphrase)
      // One that wants a passphrase is the agent's.
      if (one !== undefined && !(one instanceof Error)) found.push({ type: 'publickey', username, key: first(one) })
    }
  const password = await secretText(settings.password)
  if (password !== undefined) {
    found.push({ type: 'password', username, password })
    // Servers that ask in place of taking a password: each hidden question is the one for it.
    found.push({
      type: 'keyboard-interactive',
      username,
      prompt: (_name, _instructions, _language, prompts, finish) =>
        finish(prompts.map(({ echo }) => (echo === true ? '' : password))),
    })
  }
  if (found.length > 0) return found
  throw new AppError('storage.no-credentials', 'nothing is there to log in with: no key, no agent, no password', {
    hint: 'Set privateKey, password or agent of the sftp storage, or start ssh-agent.',
  })
}

const first = (keys: ParsedKey | ParsedKey[]): ParsedKey => (Array.isArray(keys) ? keys[0] : keys) as ParsedKey

function parsed(ssh2: Ssh2, text: string, passphrase: string | undefined): ParsedKey {
  const key = ssh2.utils.parseKey(text, passphrase)
  if (!(key instanceof Error)) return first(key)
  throw new AppError('storage.invalid', `the private key cannot be read: ${key.message}`, {
    hint: 'Give an OpenSSH or PEM private key, and its passphrase if it has one.',
  })
}

async function knownKeys(settings: Settings): Promise<KnownHosts | undefined> {
  if (settings.hostKey !== undefined || settings.verifyHost === false) return undefined
  const files =
    settings.knownHosts === undefined
      ? [join(homeFolder(), '.ssh', 'known_hosts'), SYSTEM_KNOWN_HOSTS]
      : [settings.knownHosts]
  const texts = await Promise.all(files.map(textOf))
  return knownHosts(texts.map((text) => text ?? '').join('\n'), settings.host, settings.port ?? 22)
}

function verify(key: Buffer, settings: Settings, known: KnownHosts | undefined, tried: string): AppError | undefined {
  const found = fingerprint(key)
  if (settings.hostKey !== undefined) {
    const wanted = settings.hostKey.replace(/=+$/, '')
    return wanted === found ? undefined : refused(tried, `its key is ${found} instead of ${wanted}`, CHANGED)
  }
  const state = known?.check(key) ?? 'known'
  if (state === 'known') return undefined
  const shown = `${typeOf(key)} ${found}`
  if (state === 'unknown')
    return refused(
      tried,
      `its key ${shown} is not known`,
      `If that is its key, set hostKey: "${found}" or add it: ssh-keyscan -p ${settings.port ?? 22} ${settings.host} >> ~/.ssh/known_hosts`,
    )
  return refused(
    tried,
    state === 'revoked' ? `its key ${shown} is revoked` : `its key has changed to ${shown}`,
    CHANGED,
  )
}

const CHANGED = 'Somebody may sit between you and the server: find out why its key is another before you go on.'

const refused = (tried: string, why: string, hint: string): AppError =>
  new AppError('storage.denied', `cannot ${tried}: ${why}`, { hint })

const SPOKEN: ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
  'ssh-rsa',
]

/** Those of known keys first. RSA keys sign in newer ways under the same type of key. */
function preferred(known: KnownHosts | undefined): ServerHostKeyAlgorithm[] {
  const types = known?.types ?? []
  const isKnown = (one: string): boolean => types.includes(one.startsWith('rsa-sha2') ? 'ssh-rsa' : one)
  return [...SPOKEN.filter(isKnown), ...SPOKEN.filter((one) => !isKnown(one))]
}

async function secretText(secret: { read(): Promise<string> } | undefined): Promise<string | undefined> {
  return secret === undefined ? undefined : (await secret.read()).replace(/\r?\n$/, '')
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(errno(error) ?? '')) return undefined
    throw new AppError('storage.invalid', `cannot read ${path}`, { cause: error })
  }
}
