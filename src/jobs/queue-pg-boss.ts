/**
 * Wakes workers on any machine when something is to be done, by pg-boss over the database of the catalogue. What is to be
 * done, and who does it, stands in our own tables: a message that is lost or comes twice changes nothing but how soon.
 */
import { AppError, toAppError, type AppError as Failure } from '../base/errors.ts'

export interface Delivery {
  /** At a moment after the transaction that is open now, if there is one. */
  announce(task: { run: string; notBefore: Date }): void
  /** Resolves with the next message, or when the signal aborts. */
  arrival(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export interface DeliveryOptions {
  /** Whether messages are wanted: of workers, and whether one more run may begin now. */
  hasRoom?: () => boolean
  onProblem: (error: Failure) => void
}

const SCHEMA = 'holdfast_queue'
const QUEUE = 'runs'
/** Of messages that nobody could take. */
const KEPT_SECONDS = 24 * 60 * 60
const MOST_AT_ONCE = 500

export async function pgBossDelivery(url: string, { hasRoom, onProblem }: DeliveryOptions): Promise<Delivery> {
  const { PgBoss } = await import('pg-boss').catch((cause: unknown) => {
    throw new AppError('config.invalid', 'a catalogue in PostgreSQL needs the packages pg and pg-boss', {
      hint: 'Install them beside Holdfast: npm install pg@8 pg-boss@12.',
      cause,
    })
  })
  const boss = new PgBoss({
    connectionString: url,
    schema: SCHEMA,
    application_name: 'holdfast queue',
    max: 2,
    // Times are ours to know.
    schedule: false,
    useListenNotify: hasRoom !== undefined,
  })
  boss.on('error', (error) => onProblem(toAppError(error, 'catalogue.failed')))
  await boss.start()
  await boss.createQueue(QUEUE, {
    notify: true,
    // A worker that has no room leaves it to another.
    retryLimit: 20,
    retryDelay: 1,
    expireInSeconds: 30,
    retentionSeconds: KEPT_SECONDS,
    deleteAfterSeconds: 60,
  })
  const waiting = new Set<() => void>()
  /** It came while nobody waited. */
  let missed = false
  if (hasRoom !== undefined)
    await boss.work(QUEUE, { batchSize: 1, pollingIntervalSeconds: 2 }, async () => {
      if (!hasRoom()) throw new Error('no room for one more')
      missed = waiting.size === 0
      for (const wake of waiting) wake()
    })

  let unsent: { run: string; notBefore: Date }[] = []
  let sending: Promise<void> | undefined
  async function send(): Promise<void> {
    while (unsent.length > 0) {
      const some = unsent.splice(0, MOST_AT_ONCE)
      try {
        await boss.insert(
          QUEUE,
          some.map(({ run, notBefore }) => ({ data: { run }, startAfter: notBefore })),
        )
      } catch (error) {
        // Workers look by themselves too, only not so soon.
        onProblem(toAppError(error, 'catalogue.failed'))
        unsent = []
      }
    }
    sending = undefined
  }

  return {
    announce(task) {
      unsent.push(task)
      sending ??= new Promise<void>((resolve) => setImmediate(resolve)).then(send)
    },
    async arrival(signal) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          waiting.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        waiting.add(wake)
        signal.addEventListener('abort', wake, { once: true })
        if (signal.aborted || missed) wake()
        missed = false
      })
    },
    async close() {
      await sending
      await boss.stop({ graceful: false })
    },
  }
}
