import * as z from 'zod'
import { count, duration, flag, name, path, secret, settings, size, text, texts } from './fields.ts'
import { bandwidth } from './bandwidth.ts'
import { storage } from './storage.ts'

const compressionType = z.enum(['none', 'gzip', 'brotli', 'deflate', 'zstd', 'zip'])

const compression = z
  .union([
    compressionType,
    settings({
      type: compressionType,
      level: z.number().int().min(0).max(22).describe('Higher is smaller and slower.').optional(),
    }),
  ])
  .describe('Of an archive.')

const encryption = z
  .union([
    z.literal('none'),
    settings({
      type: z.enum(['none', 'aes-256-gcm', 'age']),
      password: secret('A password; the one of the vault by default.').optional(),
      key: secret('32 bytes as base64 or hex, in place of a password.').optional(),
      keyDerivation: settings({
        type: z.enum(['scrypt', 'pbkdf2']),
        iterations: count('Of pbkdf2.').optional(),
        salt: text('Any text; a random one if absent, which is better.').optional(),
      })
        .describe('How a password becomes a key.')
        .optional(),
      recipients: texts('age1… public keys.').optional(),
      identity: secret('The age identity that opens the archives.').optional(),
    }),
  ])
  .describe('Of an archive; a repository is always encrypted.')

const price = (description: string) => z.number().nonnegative().describe(description).optional()

export const vault = settings({
  storage,
  format: z
    .enum(['repository', 'archive'])
    .default('repository')
    .describe('repository: deduplicated, readable by restic; archive: one portable file per backup.'),
  password: secret('Opens the vault.').optional(),
  key: secret('32 bytes as base64 or hex, in place of a password.').optional(),
  path: text(
    'Object names of an archive vault: {job} {date} {time} {type} {year} {month} {day} {backupId} {host}',
  ).optional(),
  compression: compression.optional(),
  encryption: encryption.optional(),
  partSize: size('Bytes of one part of an archive.').optional(),
  retry: settings({
    attempts: z.number().int().min(1).describe('In all, the first included.').default(5),
    baseMs: count('Milliseconds before the second attempt; doubles each time.').default(500),
    maxMs: count('The longest wait in milliseconds.').default(30_000),
  })
    .describe('What a storage that fails for a moment is granted.')
    .optional(),
  readBack: flag('Of a repository: compare what was packed before it is stored; true by default.').optional(),
  concurrentRuns: z
    .number()
    .int()
    .min(1)
    .describe('Runs of the service that use it at a time; as many as workers take by default.')
    .optional(),
  limits: settings({
    warn: size('From this size on somebody is told.').optional(),
    stop: size('From this size on no backup is made.').optional(),
  })
    .describe('How large the vault may become.')
    .optional(),
  prices: settings({
    currency: text('For people; USD if left out.').optional(),
    storage: price('Of a gigabyte for a month.'),
    writes: price('Of a thousand requests that store.'),
    reads: price('Of a thousand requests that read.'),
    lists: price('Of a thousand requests that list; those of writes if left out.'),
    budget: price('What a month may cost.'),
  })
    .describe('What the storage costs, for the estimates of `stats`.')
    .optional(),
  check: settings({
    every: duration('How often, by the service.'),
    readData: z
      .string()
      .refine((value) => /^(?:100|\d{1,2}(?:\.\d+)?)%$/.test(value), 'must be a percentage such as 10%')
      .describe('Of what is stored, how much is read and hashed each time, chosen at random.')
      .default('0%'),
  })
    .describe('Looks for damage by itself.')
    .optional(),
  bandwidth: bandwidth.describe('Of all runs to this vault.').optional(),
  cache: settings({
    dir: path('The folder of the cache.').optional(),
    maxSize: size('How large it may grow.').optional(),
  })
    .describe('Copies of manifests and indexes on this machine, so that a vault far away is listed fast.')
    .optional(),
})

export const vaults = z.record(name, vault).describe('The places that backups go to, by name.').default({})

export type VaultConfig = z.output<typeof vault>
