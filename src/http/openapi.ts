/** The API's description, made from the same schemas that check each call; and a page to read it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import * as z from 'zod'
import { VERSION } from '../base/version.ts'
import { SECURITY_HEADERS, sendText } from './answer.ts'
import { routes } from './contract/index.ts'
import { error } from './contract/fields.ts'
import type { Route } from './contract/kit.ts'

let made: string | undefined

export const openapi = (): string => (made ??= JSON.stringify(build()))

function build(): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const [key, route] of Object.entries<Route>(routes)) {
    const [method = '', path = ''] = key.split(' ')
    ;(paths[path] ??= {})[method.toLowerCase()] = operation(key, method, route)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version: VERSION,
      description:
        'Sign in with POST /api/v1/session, or send a token as `Authorization: Bearer hf_…`. Calls of a session that ' +
        'change something carry the header `x-holdfast-csrf`. Times are ISO 8601 in UTC, sizes are bytes; what is absent is unknown.',
    },
    tags: [...new Set(Object.keys(routes).map(tagOf))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        session: { type: 'apiKey', in: 'cookie', name: '__Host-holdfast' },
      },
      schemas: { Error: schemaOf(error) },
    },
  }
}

function tagOf(key: string): string {
  const [, path = ''] = key.split(' ')
  const parts = path.split('/').filter((part) => part !== '' && part !== 'api' && part !== 'v1')
  return path.startsWith('/api/v1/') ? (parts[0] ?? '') : 'configs'
}

function operation(key: string, method: string, route: Route): Record<string, unknown> {
  const { access, summary, description, params, query, body, answer, stream, status = 200, example } = route
  const needs =
    access === 'public'
      ? 'Anybody may call it.'
      : access === 'self'
        ? 'Whoever is signed in.'
        : `Needs the scope \`${access}\`.`
  const once = route.idempotent ? ' Takes an `Idempotency-Key`.' : ''
  const etag = route.conditional ? ' Needs `If-Match`.' : ''
  return {
    operationId: key
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^-|-$/g, ''),
    tags: [tagOf(key)],
    summary,
    description: [description, `${needs}${once}${etag}`].filter(Boolean).join('\n\n'),
    ...(access === 'public' ? { security: [] } : { security: [{ token: [] }, { session: [] }] }),
    parameters: [
      ...parametersOf(params, 'path'),
      ...parametersOf(query, 'query'),
      ...(route.idempotent ? [header('Idempotency-Key', false, { type: 'string', pattern: '^[!-~]{1,200}$' })] : []),
      ...(route.conditional ? [header('If-Match', true, { type: 'string' })] : []),
    ],
    ...(body && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: schemaOf(body), ...(example !== undefined && { example }) } },
      },
    }),
    responses: {
      [status]: {
        description: status === 204 ? 'Done.' : status === 302 ? 'Elsewhere.' : 'Done; this is the answer.',
        ...(answer && { content: { 'application/json': { schema: schemaOf(answer) } } }),
        ...(stream && { content: { [TYPES[stream]]: { schema: {} } } }),
      },
      ...(method === 'GET' && { 304: { description: 'What `If-None-Match` names is still right.' } }),
      default: {
        description: 'It was not done; the body says why, and what to do.',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  }
}

const TYPES = { events: 'text/event-stream', bytes: '*/*', text: '*/*' }

const header = (name: string, required: boolean, schema: unknown) => ({ name, in: 'header', required, schema })

function parametersOf(shape: z.ZodObject | undefined, where: 'path' | 'query'): unknown[] {
  if (shape === undefined) return []
  const { properties = {}, required = [] } = schemaOf(shape) as {
    properties?: Record<string, { description?: string }>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    ...(description !== undefined && { description }),
    schema,
  }))
}

/** As it is on the wire. */
function schemaOf(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Record<
    string,
    unknown
  >
  return rest
}

/** Static, without scripts: all that there is to read. */
export function docsPage(request: IncomingMessage, response: ServerResponse, path: string): void {
  if (path === '/api/docs/style.css') {
    sendText(request, response, 200, STYLE, {
      'content-type': 'text/css; charset=utf-8',
      'cache-control': 'public, max-age=3600',
    })
    return
  }
  sendText(request, response, 200, page(), {
    ...SECURITY_HEADERS,
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
  })
}

let html: string | undefined
function page(): string {
  if (html !== undefined) return html
  const groups = new Map<string, string[]>()
  for (const [key, route] of Object.entries<Route>(routes)) {
    const tag = tagOf(key)
    groups.set(tag, [...(groups.get(tag) ?? []), section(key, route)])
  }
  const links = [...groups.keys()].map((tag) => `<a href="#${tag}">${tag}</a>`).join(' ')
  const body = [...groups].map(([tag, sections]) => `<h2 id="${tag}">${tag}</h2>${sections.join('')}`).join('')
  html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Holdfast API</title><link rel="stylesheet" href="docs/style.css"></head><body><main><h1>Holdfast API</h1><p>The same as <a href="openapi.json">openapi.json</a>. Sign in with <code>POST /api/v1/session</code>, or send a token: <code>Authorization: Bearer hf_…</code>. Errors are <code>{ "error": { "code", "message", "hint" } }</code>.</p><nav>${links}</nav>${body}</main></body></html>`
  return html
}

function section(key: string, { access, summary, description, query, body, answer, example }: Route): string {
  const part = (title: string, text: string): string =>
    `<details><summary>${title}</summary><pre>${escape(text)}</pre></details>`
  const curl =
    example === undefined
      ? ''
      : part(
          'Example',
          `curl -X ${key.replace(' ', ' $SERVER')} -H "Authorization: Bearer $TOKEN" \\\n  -H 'content-type: application/json' -d '${JSON.stringify(example)}'`,
        )
  const json = (schema: z.ZodType): string => JSON.stringify(schemaOf(schema), undefined, 1)
  return `<section id="${escape(key.replaceAll(/[^\w]+/g, '-'))}"><h3><code>${escape(key)}</code> <small>${access}</small></h3><p>${escape(summary)}${description === undefined ? '' : `. ${escape(description)}`}</p>${query === undefined ? '' : part('Query', json(query))}${body === undefined ? '' : part('Body', json(body))}${answer === undefined ? '' : part('Answer', json(answer))}${curl}</section>`
}

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const STYLE = `:root{color-scheme:light dark;--ink:#1c2321;--soft:#5b6662;--line:#e2e6e2;--bg:#f6f7f5;--panel:#fff;--accent:#0f6b5c}
@media(prefers-color-scheme:dark){:root{--ink:#e7ece9;--soft:#a4b0ab;--line:#27312d;--bg:#111614;--panel:#181f1c;--accent:#4fc3a8}}
body{margin:0;background:var(--bg);color:var(--ink);font:14px/1.5 system-ui,sans-serif}main{max-width:880px;margin:0 auto;padding:24px}
h1{font-size:20px}h2{font-size:15px;margin:28px 0 8px}h3{font-size:14px;margin:0}h3 small{color:var(--soft);font-weight:400}p{margin:4px 0}
section{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:12px 16px;margin:0 0 8px}
nav{display:flex;flex-wrap:wrap;gap:10px;margin:12px 0}a{color:var(--accent)}code,pre{font-family:ui-monospace,monospace;font-size:12.5px}
pre{overflow:auto;max-height:420px;background:var(--bg);border-radius:6px;padding:10px}summary{cursor:pointer;color:var(--soft)}`
