import type { Part } from './cut-parts.ts'

export interface PartSending {
  /** Parts under way at a time. */
  concurrency: number
  /** Aborted with the first failure, which ends the reading and the other parts too. */
  ending: AbortController
}

/** Sends each part, several at a time; their numbers count from 1. Ends when none is under way any more. */
export async function sendParts(
  first: Part,
  rest: AsyncGenerator<Part>,
  { concurrency, ending }: PartSending,
  send: (part: Part, number: number) => Promise<void>,
): Promise<void> {
  const active = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined
  const fail = (error: unknown): void => {
    failure ??= { error }
    ending.abort(error)
  }
  let number = 0
  try {
    for (let part: Part | undefined = first; part !== undefined; part = await following(rest)) {
      const sending: Promise<void> = send(part, (number += 1))
        .catch(fail)
        .finally(() => active.delete(sending))
      active.add(sending)
      while (active.size >= concurrency) await Promise.race(active)
      if (failure !== undefined) break
    }
  } catch (error) {
    fail(error)
  }
  await Promise.all(active)
  if (failure !== undefined) throw failure.error
}

export async function following(rest: AsyncGenerator<Part>): Promise<Part | undefined> {
  const next = await rest.next()
  return next.done ? undefined : next.value
}
