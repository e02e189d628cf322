/** What changed between two backups of one vault. */
import { comparePaths } from '../base/paths.ts'
import type { Entry } from '../model/entry.ts'
import type { Cancel, Vault } from '../model/vault.ts'

export interface Difference {
  path: string
  /** `+` new · `-` gone · `M` content · `U` metadata · `T` another kind */
  modifier: '+' | '-' | 'M' | 'U' | 'T'
  before?: Entry
  after?: Entry
}

/** In path order, in constant memory. */
export async function* diff(
  vault: Vault,
  from: string,
  to: string,
  options: Cancel & { under?: string } = {},
): AsyncGenerator<Difference> {
  const left = vault.entries(from, options)[Symbol.asyncIterator]()
  const right = vault.entries(to, options)[Symbol.asyncIterator]()
  let [a, b] = await Promise.all([left.next(), right.next()])
  try {
    while (!a.done || !b.done) {
      const order = a.done ? 1 : b.done ? -1 : comparePaths(a.value.path, b.value.path)
      if (order < 0) {
        yield { path: (a.value as Entry).path, modifier: '-', before: a.value as Entry }
        a = await left.next()
      } else if (order > 0) {
        yield { path: (b.value as Entry).path, modifier: '+', after: b.value as Entry }
        b = await right.next()
      } else {
        const [before, after] = [a.value as Entry, b.value as Entry]
        const modifier = compare(before, after)
        if (modifier !== undefined) yield { path: before.path, modifier, before, after }
        ;[a, b] = [await left.next(), await right.next()]
      }
    }
  } finally {
    await left.return?.()
    await right.return?.()
  }
}

function compare(before: Entry, after: Entry): Difference['modifier'] | undefined {
  if (before.kind !== after.kind) return 'T'
  if (before.digest !== after.digest || before.linkTarget !== after.linkTarget || before.size !== after.size) return 'M'
  const same =
    before.mode === after.mode &&
    before.uid === after.uid &&
    before.gid === after.gid &&
    before.mtime.s === after.mtime.s &&
    before.mtime.ns === after.mtime.ns &&
    xattrs(before) === xattrs(after)
  return same ? undefined : 'U'
}

const xattrs = ({ xattrs: list = [] }: Entry): string =>
  list
    .map(({ name, value }) => `${name}=${Buffer.from(value).toString('base64')}`)
    .sort()
    .join('\n')
