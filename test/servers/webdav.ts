/** WebDAV servers of others: one from npm, and the one that rclone has. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from '../../src/base/program.ts'
import type { WebdavStorageSettings } from '../../src/model/settings.ts'
import { startServer } from './processes.ts'
import { plain } from './s3-servers.ts'

export interface DavServer {
  settings: WebdavStorageSettings
  url: string
  stop(): Promise<void>
}

const PASSWORD = 'webdav-password'

export async function startNpmDav(): Promise<DavServer> {
  let secretFile = ''
  const server = await startServer((port, folder) => {
    const data = join(folder, 'data')
    mkdirSync(data)
    secretFile = join(folder, 'password')
    writeFileSync(secretFile, PASSWORD, { mode: 0o600 })
    const script = join(import.meta.dirname, 'webdav-server.ts')
    return {
      program: process.execPath,
      args: [
        '--disable-warning=ExperimentalWarning',
        '--disable-warning=DEP0060',
        script,
        String(port),
        data,
        PASSWORD,
      ],
    }
  })
  return described(`127.0.0.1:${server.port}/store`, secretFile, () => server.stop())
}

/** Why rclone cannot be tested here, if it cannot. */
export const noRclone: string | undefined = findProgram('rclone') === undefined ? 'rclone is not there' : undefined

export async function startRcloneDav(): Promise<DavServer> {
  let secretFile = ''
  const server = await startServer((port, folder) => {
    const data = join(folder, 'data')
    mkdirSync(data)
    secretFile = join(folder, 'password')
    writeFileSync(secretFile, PASSWORD, { mode: 0o600 })
    return {
      program: 'rclone',
      args: ['serve', 'webdav', '--addr', `127.0.0.1:${port}`, '--dir-cache-time', '0s', data],
      env: { RCLONE_USER: 'holdfast', RCLONE_PASS: PASSWORD },
    }
  })
  return described(`127.0.0.1:${server.port}`, secretFile, () => server.stop())
}

function described(place: string, secretFile: string, stop: () => Promise<void>): DavServer {
  return {
    settings: { type: 'webdav', url: `http://${place}`, user: 'holdfast', password: plain(PASSWORD) },
    url: `webdav://holdfast@${place}?passwordFile=${secretFile}`,
    stop,
  }
}
