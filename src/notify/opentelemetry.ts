/** Runs as traces of OpenTelemetry (OTLP over HTTP, as JSON): the run is a span, its stages are spans below it. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { redact } from '../base/redact.ts'
import { VERSION } from '../base/version.ts'
import type { Notification } from '../model/notify.ts'
import type { Run } from '../model/run.ts'
import type { ServiceNotifySettings } from '../model/settings.ts'
import type { Post } from './post.ts'

type Settings = Extract<ServiceNotifySettings, { type: 'opentelemetry' }>

const TRACES = '/v1/traces'
const INTERNAL = 1
const OK = 1
const ERROR = 2
/** Of the run's warnings as events. */
const MOST_EVENTS = 20

interface Attribute {
  key: string
  value: { stringValue: string } | { intValue: string } | { boolValue: boolean }
}

export async function opentelemetry({ url, headers = {} }: Settings, notification: Notification): Promise<Post> {
  const own = await Promise.all(Object.entries(headers).map(async ([name, secret]) => [name, await secret.read()]))
  const ended = notification.runs.filter(({ endedAt }) => endedAt !== undefined)
  const spans = ended.length > 0 ? ended.flatMap(spansOf) : [trialSpan(notification)]
  const resource = { 'service.name': 'holdfast', 'service.version': VERSION, 'host.name': notification.host }
  return {
    faultIn: rejectedIn,
    url: tracesAt(url),
    headers: { 'content-type': 'application/json', ...(Object.fromEntries(own) as Record<string, string>) },
    body: JSON.stringify({
      resourceSpans: [
        {
          resource: { attributes: attributes(resource) },
          scopeSpans: [{ scope: { name: 'holdfast', version: VERSION }, spans }],
        },
      ],
    }),
  }
}

const answered = z.object({
  partialSuccess: z.object({ rejectedSpans: z.coerce.number().default(0), errorMessage: z.string().default('') }),
})

/** A collector may take a part of it, and answers 200. */
function rejectedIn(answer: string): string | undefined {
  try {
    const { partialSuccess } = answered.parse(JSON.parse(answer))
    const { rejectedSpans, errorMessage } = partialSuccess
    return rejectedSpans > 0 ? `${rejectedSpans} spans were rejected: ${errorMessage}` : undefined
  } catch {
    // Without that part, or not as JSON: all was taken.
    return undefined
  }
}

/** The address of the collector, or of its traces; queries stay. */
function tracesAt(address: string): string {
  if (!URL.canParse(address)) return address
  const url = new URL(address)
  if (!url.pathname.endsWith(TRACES)) url.pathname = url.pathname.replace(/\/*$/, TRACES)
  return url.href
}

function spansOf(run: Run): unknown[] {
  const { id, job, kind, vault, trigger, status, backupId, error, warnings, stages, summary } = run
  const traceId = idOf(16, 'run', id)
  const spanId = idOf(8, 'run', id)
  const began = run.startedAt ?? run.createdAt
  const bad = status === 'failed' || status === 'interrupted'
  const figures = Object.entries(summary ?? {}).filter(([, value]) => typeof value === 'number')
  const root = {
    traceId,
    spanId,
    name: `${kind} ${job}`,
    kind: INTERNAL,
    startTimeUnixNano: nanos(began),
    endTimeUnixNano: nanos(run.endedAt ?? began),
    attributes: attributes({
      'holdfast.run': id,
      'holdfast.job': job,
      'holdfast.kind': kind,
      'holdfast.trigger': trigger,
      'holdfast.status': status,
      ...(vault !== undefined && { 'holdfast.vault': vault }),
      ...(backupId !== undefined && { 'holdfast.backup': backupId }),
      ...(error && { 'error.type': error.code }),
      ...Object.fromEntries(figures.map(([name, value]) => [`holdfast.summary.${name}`, value])),
    }),
    events: warnings.slice(0, MOST_EVENTS).map(({ code, message, path }) => ({
      timeUnixNano: nanos(run.endedAt ?? began),
      name: 'warning',
      attributes: attributes({ code, message: redact(message), ...(path !== undefined && { path }) }),
    })),
    droppedEventsCount: Math.max(0, run.warningCount - Math.min(warnings.length, MOST_EVENTS)),
    status: bad ? { code: ERROR, message: redact(error?.message ?? status) } : { code: OK },
  }
  const below = stages.map((stage, index) => ({
    traceId,
    spanId: idOf(8, 'stage', id, String(index)),
    parentSpanId: spanId,
    name: stage.stage,
    kind: INTERNAL,
    startTimeUnixNano: nanos(stage.startedAt),
    endTimeUnixNano: nanos(stage.endedAt ?? run.endedAt ?? stage.startedAt),
    attributes: [],
    status: { code: stage.status === 'failed' ? ERROR : OK },
  }))
  return [root, ...below]
}

/** What `notify test` sends. */
function trialSpan({ title, time }: Notification): unknown {
  const at = nanos(time)
  return {
    traceId: idOf(16, title, at),
    spanId: idOf(8, title, at),
    name: title,
    kind: INTERNAL,
    startTimeUnixNano: at,
    endTimeUnixNano: at,
    attributes: [],
    status: { code: OK },
  }
}

function attributes(values: Record<string, unknown>): Attribute[] {
  return Object.entries(values).map(([key, value]) => {
    if (typeof value === 'boolean') return { key, value: { boolValue: value } }
    // 64 bits are texts in the JSON of protocol buffers.
    if (typeof value === 'number') return { key, value: { intValue: String(Math.round(value)) } }
    return { key, value: { stringValue: String(value) } }
  })
}

/** The same for the same run, so that what is sent twice is one. In hexadecimal, other than bytes elsewhere in such JSON. */
const idOf = (bytes: number, ...of: string[]): string =>
  createHash('sha256')
    .update(JSON.stringify(of))
    .digest('hex')
    .slice(0, 2 * bytes)

const nanos = (time: Date): string => String(BigInt(time.getTime()) * 1_000_000n)
