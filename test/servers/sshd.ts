/** OpenSSH's server for tests: on loopback, with keys, a user and a folder of its own. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { userName } from '../../src/base/user.ts'
import type { SftpStorageSettings } from '../../src/model/settings.ts'
import { startServer } from './processes.ts'
import { plain } from './s3-servers.ts'

const SSHD = '/usr/sbin/sshd'
const SFTP_SERVERS = ['/usr/lib/openssh/sftp-server', '/usr/libexec/sftp-server', '/usr/lib/ssh/sftp-server']
const sftpServer = SFTP_SERVERS.find((path) => existsSync(path))

/** Why it cannot be tested here, if it cannot. */
export const noSshd: string | undefined =
  existsSync(SSHD) && sftpServer !== undefined ? undefined : 'OpenSSH is not there (openssh-server)'

export interface SshServer {
  port: number
  /** Where the keys lie: `host`, `user`, `user-rsa`, `known_hosts`. */
  keys: string
  /** What the storage writes to. */
  root: string
  settings: SftpStorageSettings
  url: string
  /** The next request of this kind (18: rename, 13: remove) is done, and its connection ended in place of the answer. */
  loseAnswerTo(kind: number): void
  /** Ends every open connection, not the server. */
  cut(): void
  stop(): Promise<void>
}

/** `without`: requests that the server does not know, by their names in sftp-server(8). `losing`: answers can get lost. `more`: lines of sshd_config(5). */
export async function startSshd({
  without = [],
  losing = false,
  more = [],
}: { without?: string[]; losing?: boolean; more?: string[] } = {}): Promise<SshServer> {
  const base = mkdtempSync(join(tmpdir(), 'holdfast-sshd-'))
  const keys = join(base, 'keys')
  const root = join(base, 'root')
  const lose = join(base, 'lose')
  const program = losing
    ? [process.execPath, join(import.meta.dirname, 'sftp-losing.ts'), sftpServer, lose].join(' ')
    : sftpServer
  mkdirSync(keys, { mode: 0o700 })
  for (const [name, ...type] of [
    ['host', '-t', 'ed25519'],
    ['host-ecdsa', '-t', 'ecdsa'],
    ['user', '-t', 'ed25519'],
    ['user-rsa', '-t', 'rsa', '-b', '2048'],
  ] as const)
    spawnSync('ssh-keygen', ['-q', '-N', '', '-C', name, '-f', join(keys, name), ...type])
  const allowed = ['user', 'user-rsa'].map((name) => readFileSync(join(keys, `${name}.pub`), 'utf8')).join('')
  writeFileSync(join(keys, 'authorized_keys'), allowed)
  chmodSync(join(keys, 'authorized_keys'), 0o600)
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const server = await startServer((port, folder) => {
    const config = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(keys, 'host-ecdsa')}`,
      `HostKey ${join(keys, 'host')}`,
      `AuthorizedKeysFile ${join(keys, 'authorized_keys')}`,
      `PidFile ${join(folder, 'pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin yes',
      'MaxStartups 100',
      'PrintMotd no',
      ...more,
      `Subsystem sftp ${program}${without.length > 0 ? ` -P ${without.join(',')}` : ''}`,
    ]
    writeFileSync(join(folder, 'config'), config.join('\n'))
    return { program: SSHD, args: ['-D', '-e', '-f', join(folder, 'config')] }
  })
  const { port } = server
  const known = readFileSync(join(keys, 'host.pub'), 'utf8').split(' ').slice(0, 2).join(' ')
  writeFileSync(join(keys, 'known_hosts'), `[127.0.0.1]:${port} ${known}\n`)
  const settings: SftpStorageSettings = {
    type: 'sftp',
    host: '127.0.0.1',
    port,
    path: root,
    privateKey: plain(readFileSync(join(keys, 'user'), 'utf8')),
    knownHosts: join(keys, 'known_hosts'),
  }
  const query = `keyFile=${join(keys, 'user')}&knownHosts=${join(keys, 'known_hosts')}`
  return {
    port,
    keys,
    root,
    settings,
    url: `sftp://${userName()}@127.0.0.1:${port}${root}?${query}`,
    loseAnswerTo(kind) {
      writeFileSync(lose, String(kind))
    },
    cut() {
      // Each connection has a process of its own below the server's.
      const parent = readFileSync(join(server.folder, 'pid'), 'utf8').trim()
      const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', parent], { encoding: 'utf8' })
      for (const pid of stdout.split(/\s+/).filter(Boolean)) process.kill(Number(pid), 'SIGKILL')
    },
    async stop() {
      await server.stop()
      rmSync(base, { recursive: true, force: true })
    },
  }
}
