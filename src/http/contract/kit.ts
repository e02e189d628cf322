/** What a route is: who may call it, what it takes and what it answers. One table of these is all that the API says of itself. */
import * as z from 'zod'

/** What a caller must be allowed to do. `public`: nobody in particular; `self`: anybody who is signed in. */
export type Scope = 'read' | 'operate' | 'restore' | 'delete' | 'admin'
export type Access = 'public' | 'self' | Scope

export interface Route {
  access: Access
  summary: string
  /** Further sentences for the reference page. */
  description?: string
  params?: z.ZodObject
  query?: z.ZodObject
  body?: z.ZodType
  /** Absent: no content. */
  answer?: z.ZodType
  status?: 200 | 201 | 202 | 204 | 302
  /** Answers that are no JSON document. */
  stream?: 'events' | 'bytes' | 'text'
  /** Takes an `Idempotency-Key`: the same call again gives the first answer again. */
  idempotent?: true
  /** Needs `If-Match` with the ETag that a GET of the same address gave. */
  conditional?: true
  /** Bytes of a body; 256 KiB if absent. */
  maxBody?: number
  /** An example body, for the reference page. */
  example?: unknown
}

/** Keeps the exact types of its parts. */
export const route = <const R extends Route>(one: R): R => one

type Schema = z.ZodType | undefined
/** As a client writes and reads it: times are texts. */
type Wire<S extends Schema> = S extends z.ZodType ? z.input<S> : undefined
/** As the server has it: times are dates, defaults are filled in. */
type Live<S extends Schema> = S extends z.ZodType ? z.output<S> : undefined
type Part<R, K extends string> = R extends Record<K, infer S extends z.ZodType> ? S : undefined

export type CallOf<R extends Route> = {
  params: Wire<Part<R, 'params'>>
  query: Wire<Part<R, 'query'>>
  body: Wire<Part<R, 'body'>>
  answer: Wire<Part<R, 'answer'>>
}

export type ServedOf<R extends Route> = {
  params: Live<Part<R, 'params'>>
  query: Live<Part<R, 'query'>>
  body: Live<Part<R, 'body'>>
  answer: Live<Part<R, 'answer'>>
}
