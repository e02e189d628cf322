/** A folder with everything that a file system has, and what must come back of it. */
import { execFileSync, spawnSync } from 'node:child_process'
import { linkSync, mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { files } from '../../src/sources/files/index.ts'
import type { ReportWarning } from '../../src/model/progress.ts'
import type { BackupOutcome, BackupRequest, Vault } from '../../src/model/vault.ts'
import { readTree, type ReadTree } from './file-tree.ts'

const isRoot = process.getuid?.() === 0

export const have = (...commands: string[]): boolean =>
  commands.every((command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0)

/** Why a test cannot run here, for `skip`. */
export const without = (...commands: string[]): string | false => {
  const missing = commands.filter((command) => !have(command))
  return missing.length > 0 && `there is no ${missing.join(', no ')} here`
}

export function plantOdd(root: string): void {
  mkdirSync(join(root, 'sub/empty'), { recursive: true })
  for (const [name, size] of Object.entries({
    none: 0,
    one: 1,
    block: 512,
    page: 4096,
    large: 900_000,
    huge: 3_000_000,
  }))
    writeFileSync(join(root, 'sub', name), Buffer.alloc(size, `${name} `))
  const long = 'n'.repeat(180)
  mkdirSync(join(root, long, long), { recursive: true })
  writeFileSync(join(root, long, 'more than 100'), 'a')
  writeFileSync(join(root, long, long, 'more than 256'), 'b')
  symlinkSync(`${long}/${long}/more than 256`, join(root, 'long link'))
  symlinkSync('sub/one', join(root, 'link'))
  linkSync(join(root, 'sub/large'), join(root, 'sub/same as large'))
  linkSync(join(root, 'sub/large'), join(root, long, long, 'same as large'))
  writeFileSync(join(root, 'é ü 漢字 \' " \\ \t'), 'odd name')
  writeFileSync(Buffer.concat([Buffer.from(`${root}/not utf-8 `), Buffer.from([0xff, 0xfe])]), 'bytes')
  writeFileSync(join(root, 'holes'), 'x')
  truncateSync(join(root, 'holes'), 5_000_000)
  execFileSync('dd', ['if=/dev/zero', `of=${join(root, 'holes')}`, 'bs=4096', 'count=2', 'seek=300', 'conv=notrunc'], {
    stdio: 'ignore',
  })
  writeFileSync(join(root, 'only a hole'), '')
  truncateSync(join(root, 'only a hole'), 2_000_000)
  execFileSync('mkfifo', [join(root, 'fifo')])
  if (isRoot) execFileSync('mknod', [join(root, 'device'), 'c', '1', '3'])
  spawnSync('setfattr', ['-n', 'user.note', '-v', 'text', join(root, 'sub/one')])
  execFileSync('chmod', ['4751', join(root, 'sub/page')])
  execFileSync('chmod', ['1777', join(root, 'sub/empty')])
  if (isRoot) execFileSync('chown', ['12345:54321', join(root, 'sub/block')])
  execFileSync('touch', ['-d', '2001-02-03T04:05:06.123456789Z', join(root, 'sub/one')])
  execFileSync('touch', ['-d', '1965-02-03T04:05:06.5Z', join(root, 'sub/none')])
  utimesSync(join(root, 'sub'), 1e9, 1e9)
}

export interface Keeps {
  times?: 'exact' | 'seconds' | 'none'
  owners?: boolean
  modes?: boolean
  xattrs?: boolean
  holes?: boolean
  /** Parts of seconds before 1970. */
  oldFractions?: boolean
  hardlinks?: boolean
  /** Devices and fifos. */
  special?: boolean
}

/** Per path what must be equal, as far as the way back keeps it. */
export function essence(tree: ReadTree, folder: string, keeps: Keeps = {}): Record<string, unknown> {
  const {
    times = 'exact',
    owners = true,
    modes = true,
    xattrs = true,
    holes = true,
    hardlinks = true,
    special = true,
  } = keeps
  const prefix = `${folder.slice(1)}/`
  const contents = new Map(tree.entries.map(({ path, content }) => [path, content?.toString('latin1')]))
  const found: Record<string, unknown> = {}
  for (const entry of tree.entries) {
    if (!entry.path.startsWith(prefix)) continue
    if (!special && ['fifo', 'chardev', 'blockdev'].includes(entry.kind)) continue
    if (!hardlinks && entry.hardlink !== undefined && contents.get(entry.hardlink) === undefined) continue
    const timed = entry.kind !== 'symlink' && entry.kind !== 'directory'
    found[entry.path.slice(prefix.length)] = {
      kind: entry.kind,
      content: contents.get(hardlinks ? entry.path : (entry.hardlink ?? entry.path)),
      link: entry.linkTarget,
      ...(modes && entry.kind !== 'symlink' && { mode: entry.mode }),
      ...(times === 'exact' &&
        timed && { mtime: keeps.oldFractions === false && entry.mtime.s < 0 ? entry.mtime.s : entry.mtime }),
      ...(times === 'seconds' && timed && { mtime: Math.max(entry.mtime.s, 0) }),
      ...(owners && { owner: [entry.uid, entry.gid] }),
      ...(hardlinks && { hardlink: entry.hardlink?.slice(prefix.length), links: entry.links }),
      ...(special && { rdev: entry.rdev }),
      ...(holes && { sparse: entry.sparse }),
      ...(xattrs && {
        xattrs: entry.xattrs?.map(({ name, value }) => `${name}=${Buffer.from(value).toString('hex')}`).sort(),
      }),
    }
  }
  return found
}

export const essenceOf = async (folder: string, keeps?: Keeps): Promise<Record<string, unknown>> =>
  essence(await readTree({ paths: [folder] }), folder, keeps)

/** Backs up a real folder. */
export async function backupFolder(
  vault: Vault,
  root: string,
  more: Partial<BackupRequest> = {},
  onWarning: ReportWarning = () => {},
): Promise<BackupOutcome> {
  const source = files({ paths: [root] })
  const reading = await source.read({ onWarning })
  try {
    return await vault.backup({
      job: 'job',
      source: 'files',
      paths: source.paths,
      reading,
      type: 'full',
      tags: [],
      host: 'here',
      time: new Date('2024-03-15T14:30:45Z'),
      ...more,
    })
  } finally {
    await reading.close()
  }
}
