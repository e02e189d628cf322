/** Entries for people and for scripts. */
import type { Entry, EntryKind } from '../model/entry.ts'

const LETTER: Record<EntryKind, string> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  chardev: 'c',
  blockdev: 'b',
  socket: 's',
}

/** `-rwxr-xr-x` */
export function modeText({ kind, mode }: Entry): string {
  const bits = [8, 7, 6, 5, 4, 3, 2, 1, 0].map((bit) => ((mode >> bit) & 1 ? ('xwr'[bit % 3] as string) : '-'))
  const special: [number, number, string][] = [
    [0o4000, 2, 's'],
    [0o2000, 5, 's'],
    [0o1000, 8, 't'],
  ]
  for (const [flag, at, letter] of special) if (mode & flag) bits[at] = bits[at] === 'x' ? letter : letter.toUpperCase()
  return LETTER[kind] + bits.join('')
}

export function entryJson(entry: Entry): Record<string, unknown> {
  const { mtime, ctime: _ctime, xattrs, path, kind, ...rest } = entry
  return {
    path: `/${path}`,
    type: kind,
    ...rest,
    permissions: modeText(entry),
    mtime: new Date(mtime.s * 1000 + Math.floor(mtime.ns / 1_000_000)).toISOString(),
    ...(xattrs && {
      xattrs: xattrs.map(({ name, value }) => ({ name, value: Buffer.from(value).toString('base64') })),
    }),
  }
}
