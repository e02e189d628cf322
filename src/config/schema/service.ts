import * as z from 'zod'
import { count, duration, path, settings, size, text, texts } from './fields.ts'

export const server = settings({
  listen: text('HOST:PORT of the web page and the API.').default('127.0.0.1:3000'),
  dataDir: path('The catalogue, run logs, locks and caches.').optional(),
  catalogue: text('sqlite, or a postgres:// URL.').default('sqlite'),
  concurrency: count('Runs at a time in one process.').default(2),
  labels: texts('What jobs may ask of a worker.').default([]),
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
