/** Runs, their logs, and the stream of events. */
import { AppError } from '../../base/errors.ts'
import type { RunStatus } from '../../model/run.ts'
import { endQueued } from '../../operations/execute-task.ts'
import { afterOf, cursorOf } from '../cursor.ts'
import type { runRoutes } from '../contract/runs.ts'
import { streamEvents } from '../events.ts'
import { signedIn, type Api, type Handlers } from '../handler.ts'
import { runStatus } from '../contract/fields.ts'
import { streamLog } from '../run-log.ts'
import { runShort, runWhole } from '../views/runs.ts'

export function runHandlers(api: Api): Handlers<keyof typeof runRoutes> {
  const catalogue = () => api.app.history()
  function find(id: string) {
    const run = catalogue().run(id)
    if (run === undefined) throw new AppError('request.not-found', `there is no run ${id}`)
    return run
  }

  return {
    'GET /api/v1/runs'({ query }) {
      const { cursor, limit, status, ...filter } = query
      const before = afterOf(cursor)
      const wanted = status === undefined ? undefined : statusesOf(status)
      const runs = catalogue().runsPage({
        ...filter,
        ...(wanted && { status: wanted }),
        ...(before && { before }),
        limit: limit + 1,
      })
      const items = runs.slice(0, limit)
      const last = items.at(-1)
      return {
        items: items.map(runShort),
        ...(runs.length > limit && last && { next: cursorOf({ at: last.createdAt, id: last.id }) }),
      }
    },
    'GET /api/v1/runs/{id}': ({ params }) => runWhole(find(params.id)),
    'POST /api/v1/runs/{id}/cancel'({ params, caller }) {
      const run = find(params.id)
      const by = signedIn({ caller }).name
      if (run.endedAt !== undefined)
        throw new AppError('request.exists', `run ${run.id} has ended: ${run.status}`, {
          hint: 'There is nothing to cancel.',
        })
      const error = new AppError('run.cancelled', `cancelled by ${by}`)
      if (catalogue().service.withdraw(run.id, error.message))
        endQueued({ catalogue: catalogue(), clock: api.app.clock }, run.id, error)
      else catalogue().askToCancel(run.id, by)
      return runShort(find(run.id))
    },
    'POST /api/v1/runs/{id}/limit'({ params, body }) {
      const run = find(params.id)
      if (run.endedAt !== undefined)
        throw new AppError('request.exists', `run ${run.id} has ended: ${run.status}`, {
          hint: 'There is nothing to limit.',
        })
      catalogue().askToLimit(run.id, body.bandwidth ?? 'none')
      return runShort(run)
    },
    async 'GET /api/v1/runs/{id}/log'({ params, query, request, response, signal }) {
      await streamLog({ run: () => find(params.id), query, request, response, signal })
      return undefined
    },
    async 'GET /api/v1/events'({ query, request, response, signal }) {
      await streamEvents(api, { query, request, response, signal })
      return undefined
    },
  }
}

function statusesOf(text: string): RunStatus[] {
  return text.split(',').map((one) => {
    const known = runStatus.safeParse(one.trim())
    if (known.success) return known.data
    throw new AppError('request.invalid', `query.status: ${one} is none of ${runStatus.options.join(', ')}`)
  })
}
