/** What a handler of a route gets and gives. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { App } from '../app.ts'
import type { Tree } from '../config/key-path.ts'
import type { Asked } from './access/addresses.ts'
import type { Caller } from './access/caller.ts'
import type { RouteKey, Served } from './contract/index.ts'

/** What all handlers work on. */
export interface Api {
  app: App
  startedAt: Date
  /** The configuration file as written, for what it manages. */
  raw: Tree
  /** What `config show --origin` shows, and the files. */
  shownSettings: () => Promise<{ items: { key: string; value: unknown; origin: string }[]; files: string[] }>
  /** SHA-256 of the token that makes the first account; while there is none. */
  setupToken: () => string | undefined
  /** The server stops. */
  signal: AbortSignal
}

export interface ApiRequest<K extends RouteKey> {
  params: Served<K>['params']
  query: Served<K>['query']
  body: Served<K>['body']
  /** Nobody only where the route is public. */
  caller: Caller | undefined
  asked: Asked
  ifMatch: string | undefined
  request: IncomingMessage
  response: ServerResponse
  /** Aborted when the client goes away or the server stops. */
  signal: AbortSignal
  /** Further headers of the answer. */
  headers: Record<string, string | string[]>
  /** What the audit log keeps beside who, what and when. */
  audit: (detail: Record<string, unknown>, object?: string) => void
}

/** An answer that was put together as the text of its JSON. */
export class Rendered {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Answer<K extends RouteKey> = Served<K>['answer'] | Rendered
/** Routes that stream write their answer themselves. */
export type Handler<K extends RouteKey> = (request: ApiRequest<K>) => Promise<Answer<K>> | Answer<K>
export type Handlers<K extends RouteKey> = { [Key in K]: Handler<Key> }

/** Of a route that is not public. */
export function signedIn({ caller }: { caller: Caller | undefined }): Caller {
  if (caller === undefined) throw new Error('a route that needs a caller was called without one')
  return caller
}
