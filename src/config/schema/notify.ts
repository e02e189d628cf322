import * as z from 'zod'
import { count, flag, name, path, port, secret, settings, text } from './fields.ts'

const event = z.enum(['start', 'success', 'warning', 'failure', 'recovered', 'overdue', 'weekly', 'monthly'])

const on = z
  .union([event, z.array(event)])
  .default(['failure'])
  .describe('The events that it wants.')

const email = settings({
  type: z.literal('email'),
  on,
  from: text('The address of the sender.'),
  to: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).describe('The addresses that get it.'),
  smtp: settings({
    host: text('The mail server.'),
    port: port('587 for STARTTLS, 465 for TLS from the start.').default(587),
    secure: flag('TLS from the first byte; true for port 465.').optional(),
    requireTls: flag('Send nothing unless STARTTLS works; true by default, save on this machine.').optional(),
    user: text('The name to log in with.').optional(),
    password: secret('Its password.').optional(),
    ca: path('A PEM file with the authority of the server.').optional(),
    rejectUnauthorized: flag('Whether the certificate is checked; true by default.').optional(),
    timeoutMs: count('How long one step may take; 30000 by default.').optional(),
  }).describe('The mail server.'),
})

const url = secret('The address; whoever knows it can post there.')

const slack = settings({ type: z.literal('slack'), on, url }).describe(
  'An incoming webhook of Slack, or of Mattermost.',
)
const discord = settings({ type: z.literal('discord'), on, url }).describe('A webhook of Discord.')
const healthchecks = settings({
  type: z.literal('healthchecks'),
  on: z
    .union([event, z.array(event)])
    .default(['start', 'success', 'warning', 'failure'])
    .describe('The events that it wants.'),
  url,
  exitStatus: flag('Tell failures by their exit code in place of /fail.').optional(),
}).describe('Pings for healthchecks.io and its likes.')
const opentelemetry = settings({
  type: z.literal('opentelemetry'),
  on: z
    .array(z.enum(['success', 'warning', 'failure']))
    .default(['success', 'warning', 'failure'])
    .describe('The outcomes of runs that it wants.'),
  url: text('The collector, such as http://127.0.0.1:4318; /v1/traces is added.'),
  headers: z.record(z.string(), secret('Its value.')).describe('Further headers.').optional(),
}).describe('Runs and their stages as traces, by OTLP over HTTP.')
const webhook = settings({
  type: z.literal('webhook'),
  on,
  url,
  secret: secret('Signs the body by HMAC.').optional(),
  method: z.enum(['POST', 'PUT']).describe('POST by default.').optional(),
  headers: z.record(z.string(), secret('Its value.')).describe('Further headers.').optional(),
  body: text(
    'The body, with {event} {title} {text} {host} {time} {job} {status} {runId} as the insides of JSON texts.',
  ).optional(),
}).describe('Any address that takes JSON.')
const telegram = settings({
  type: z.literal('telegram'),
  on,
  token: secret('Of the bot.'),
  url: text('The server of the bot API; https://api.telegram.org by default.').optional(),
  chatId: z.union([z.string().min(1), z.number().int()]).describe('Where it writes.'),
}).describe('A bot of Telegram.')
const ntfy = settings({
  type: z.literal('ntfy'),
  on,
  url: text('The server; https://ntfy.sh by default.').optional(),
  topic: text('The topic.'),
  token: secret('Of the user.').optional(),
}).describe('A topic of ntfy.')
const gotify = settings({
  type: z.literal('gotify'),
  on,
  url: text('The server.'),
  token: secret('Of the application.'),
}).describe('An application of Gotify.')
const command = settings({
  type: z.literal('command'),
  on,
  command: z.union([z.string().min(1), z.array(z.string()).min(1)]).describe('Gets the event as JSON on its input.'),
}).describe('A program; a text is run by the shell.')

export const notifier = z.discriminatedUnion('type', [
  email,
  slack,
  webhook,
  healthchecks,
  opentelemetry,
  discord,
  telegram,
  ntfy,
  gotify,
  command,
])

export const notify = z.record(name, notifier).describe('Who hears about it, by name.').default({})

export type NotifyConfig = z.output<typeof notifier>
