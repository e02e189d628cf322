/** What is measured: Holdfast's command beside the tools that do the same. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { archiveVault } from '../src/archive/vault.ts'
import { systemClock } from '../src/base/clock.ts'
import { local } from '../src/storage/local.ts'
import { warm, type Material } from './material.ts'
import { measure, type Command } from './measure.ts'

const HOLDFAST = join(dirname(import.meta.filename), '../holdfast')
const PASSWORD = { HOLDFAST_PASSWORD: 'a password of the benchmark' }

/** Commands that are compared with the last of them. */
export interface Case {
  name: string
  title: string
  commands: Command[]
  /** The number of times that this takes its turn, where it is quick. */
  runs?: number
  finish?: () => void
}

const quoted = (path: string): string => `'${path.replaceAll("'", String.raw`'\''`)}'`

export function casesFor(label: string, material: Material, work: string): Case[] {
  const { path } = material
  const packed = join(work, 'packed')
  const vault = join(work, 'vault')
  const out = join(work, 'out')
  const fresh = (folder: string): void => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
  }
  const tar = (name: string, packer: string): Command => ({
    name,
    run: `tar -C ${quoted(dirname(path))} -cf - ${quoted(path.slice(dirname(path).length + 1))} | ${packer} > packed/tar`,
    prepare() {
      fresh(packed)
      warm(path)
    },
  })
  const backup = (name: string, options: readonly string[], env?: Record<string, string>): Command => ({
    name,
    run: [HOLDFAST, 'backup', path, '--to', vault, '--type', 'full', '--quiet', ...options],
    ...(env && { env }),
    prepare() {
      rmSync(vault, { recursive: true, force: true })
      warm(path)
    },
  })
  /** Each into a folder of its own: ext4 is slow to use the inodes again of what was just removed. */
  let restores = 0
  const finish = (): void => {
    for (const folder of [packed, vault, out]) rmSync(folder, { recursive: true, force: true })
  }
  const zstd = backup('holdfast, zstd 3', ['--compression', 'zstd:3'])

  return [
    {
      name: 'zstd',
      title: `${label}: full, zstd 3`,
      commands: [tar('tar, zstd -3 -T0', 'zstd -3 -T0 -q'), zstd],
      finish,
    },
    {
      name: 'gzip',
      title: `${label}: full, gzip 6`,
      commands: [tar('tar, gzip -6', 'gzip -6'), backup('holdfast, gzip 6', ['--compression', 'gzip:6'])],
      finish,
    },
    {
      name: 'encrypted',
      title: `${label}: full, zstd 3, encrypted`,
      commands: [zstd, backup('holdfast, zstd 3, AES-256-GCM', ['--compression', 'zstd:3', '--encrypt'], PASSWORD)],
      finish,
    },
    {
      name: 'restore',
      title: `${label}: restore of zstd 3`,
      commands: [
        {
          name: 'zstd -d, tar -x',
          run: `zstd -q -dc packed/tar | tar -xf - -C "$(mktemp -d -p out)"`,
          prepare() {
            mkdirSync(out, { recursive: true })
            if (!present(packed)) measure(tar('', 'zstd -3 -T0 -q'), work)
            warm(packed)
          },
        },
        {
          name: 'holdfast restore',
          run: () => [
            HOLDFAST,
            'restore',
            'latest',
            '--vault',
            vault,
            '--to',
            join(out, `${(restores += 1)}`),
            '--quiet',
          ],
          prepare() {
            mkdirSync(out, { recursive: true })
            if (!present(vault)) measure(zstd, work)
            warm(vault)
          },
        },
      ],
      finish,
    },
    {
      name: 'unchanged',
      title: `${label}: incremental, nothing changed`,
      commands: [
        {
          name: 'holdfast, incremental',
          run: [HOLDFAST, 'backup', path, '--to', vault, '--type', 'incremental', '--quiet'],
          prepare() {
            if (!present(vault)) measure(zstd, work)
            warm(path)
          },
        },
      ],
      finish,
    },
  ]
}

const present = (folder: string): boolean => {
  try {
    return readdirSync(folder).length > 0
  } catch {
    return false
  }
}

export function startCases(work: string, backups: number): Case[] {
  const vault = join(work, 'many')
  return [
    {
      name: 'version',
      title: 'holdfast --version',
      runs: 10,
      commands: [{ name: 'holdfast --version', run: [HOLDFAST, '--version'] }],
    },
    {
      name: 'list',
      title: `holdfast list, a local vault of ${backups} backups`,
      commands: [
        {
          name: 'holdfast list',
          run: [HOLDFAST, 'list', '--vault', vault],
        },
      ],
      finish: () => rmSync(vault, { recursive: true, force: true }),
    },
  ]
}

/** A vault of many small backups, made without the command line's start each time. */
export async function vaultOfMany(work: string, backups: number): Promise<void> {
  const vault = await archiveVault({
    storage: local({ path: join(work, 'many') }),
    clock: systemClock,
    create: true,
    program: 'holdfast benchmark',
    settings: { name: 'many' },
  })
  const entry = { path: 'file', kind: 'file' as const, mode: 0o644, mtime: { s: 1_700_000_000, ns: 0 }, size: 0 }
  for (let number = 0; number < backups; number += 1) {
    await vault.backup({
      job: `job${number % 10}`,
      source: 'files',
      paths: ['/data'],
      reading: {
        async *entries() {
          yield { ...entry, open: () => ({ read: () => 0, close: () => undefined }) }
        },
        close: async () => {},
      },
      type: 'full',
      tags: [],
      host: 'benchmark',
      time: new Date(Date.UTC(2024, 0, 1) + number * 3_600_000),
    })
  }
  await vault.close()
}
