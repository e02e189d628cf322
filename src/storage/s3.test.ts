import { join } from 'node:path'
import {
  FAUXQS_EXCEPTIONS,
  noVersitygw,
  startNpmServer,
  startVersitygw,
  type S3Server,
} from '../../test/servers/s3-servers.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { s3 } from './s3.ts'

const open = join(import.meta.dirname, 'open.ts')

let versitygw: S3Server | undefined
storageSuite('driver:s3-versitygw', {
  unavailable: noVersitygw,
  open: async () => s3((versitygw = await startVersitygw()).settings),
  close: () => versitygw?.stop(),
  child: () => ({ module: open, call: 'openStorage', args: [versitygw?.url], env: versitygw?.env ?? {} }),
})

let npm: S3Server | undefined
storageSuite('driver:s3-npm', {
  open: async () => s3((npm = await startNpmServer()).settings),
  close: () => npm?.stop(),
  except: FAUXQS_EXCEPTIONS,
  child: () => ({ module: open, call: 'openStorage', args: [npm?.url], env: npm?.env ?? {} }),
})
