/** All calls of the page go through here: a call that is refused for want of a session leads to the sign-in. */
import { signal } from '@preact/signals'
import { ApiError, createClient } from '../../../src/http/client.ts'
import type { Call, RouteKey } from '../../../src/http/contract/index.ts'
import { apiBase } from './router.ts'

export { ApiError }

/** What a route answers. */
export type Answer<K extends RouteKey> = Call<K>['answer']
export type Body<K extends RouteKey> = Call<K>['body']
export type Me = Answer<'GET /api/v1/session'>
export type Scope = Me['scopes'][number]

/** `undefined`: not asked yet; `null`: nobody is signed in. */
export const me = signal<Me | null | undefined>(undefined)

export const may = (scope: Scope): boolean => me.value?.scopes.includes(scope) ?? false

export const api = createClient({
  base: apiBase,
  async fetch(...args) {
    const response = await fetch(...args)
    if (response.status === 401 && me.peek()) me.value = null
    return response
  },
})

/** Something that can be shown of whatever was thrown. */
export function problemOf(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new ApiError(0, { code: 'network', message, hint: '' })
}
