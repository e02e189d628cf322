import * as z from 'zod'
import { count, duration, flag, path, secret, settings, size, text, texts } from './fields.ts'

const oidc = settings({
  issuer: text('The identity provider: the address that has /.well-known/openid-configuration below it.'),
  clientId: text('What it knows this server as.'),
  clientSecret: secret('Its secret for this server.').optional(),
  name: text('What the button says.').default('single sign-on'),
  scopes: texts('What is asked for.').default(['openid', 'profile', 'email']),
  roleClaim: text('The claim that holds the role or a list of groups.').optional(),
  roles: z
    .record(z.string(), z.enum(['viewer', 'operator', 'restorer', 'admin']))
    .describe('Role by value of that claim.')
    .optional(),
  defaultRole: z
    .enum(['viewer', 'operator', 'restorer', 'admin', 'none'])
    .describe('Of those whom no rule gives one; none: they may not sign in.')
    .default('none'),
}).describe('Signing in by an identity provider (OpenID Connect).')

export const server = settings({
  listen: text('HOST:PORT of the web page and the API.').default('127.0.0.1:3000'),
  dataDir: path('The catalogue, run logs, locks and caches.').optional(),
  catalogue: z
    .string()
    .regex(/^(?:sqlite|memory|postgres(?:ql)?:\/\/.+)$/, 'must be sqlite or a postgres:// URL')
    .describe('sqlite, or a postgres:// URL: then schedulers and workers on several machines share it.')
    .default('sqlite'),
  keyFile: path(
    'The key that secrets in the catalogue are sealed with; server.key in the data folder by default. Machines that share a catalogue need the same.',
  ).optional(),
  concurrency: count('Runs at a time in one process.').default(2),
  labels: texts('What jobs may ask of a worker.').default([]),
  roots: z
    .array(path('A folder.'))
    .min(1)
    .describe(
      'Folders that the page and the API browse and restore to; all by default. What jobs of admins back up is not limited by it.',
    )
    .default(['/']),
  url: text('Where browsers reach the page, with its path prefix if it has one; http://LISTEN by default.').optional(),
  trustProxy: flag('A reverse proxy in front says who asks (X-Forwarded-For, X-Forwarded-Proto).').default(false),
  metrics: z
    .enum(['token', 'open'])
    .describe('Whether /metrics needs a token with the scope read, or is open to all who reach the port.')
    .default('token'),
  session: settings({
    idle: duration('A session ends after this time without use.').default('12h'),
    most: duration('A session ends after this time in any case.').default('30d'),
  })
    .describe('Of the page.')
    .prefault({}),
  oidc: oidc.optional(),
  drain: duration('How long a stop waits for what is at work, before it interrupts it safely.').default('8s'),
}).describe('The service, and where it keeps its data.')

export const log = settings({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info').describe('The least that is logged.'),
  file: path('The log; logs/holdfast.log in the data folder by default.').optional(),
  maxSize: size('A file that reaches this is put aside.').default('20m'),
  maxFiles: count('How many files put aside are kept.').default(14),
  maxAge: duration('Files put aside are deleted after this time.').default('30d'),
}).describe('What is logged, and where.')

export const report = settings({
  html: path('A page after each run; {date} {time} {job} {runId} {status} stand for their values.').optional(),
  json: path('The same as JSON.').optional(),
}).describe('What is written after each run.')

export const update = settings({
  registry: text('The registry of npm packages that has newer versions; the one that npm uses by default.').optional(),
  notice: flag('Whether a server looks once a day, and says so in its log, on the page and in /api/v1/about.').default(
    true,
  ),
}).describe('Newer versions of Holdfast.')
