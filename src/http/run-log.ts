/** The log of a run: as it stands, or followed until the run ends. */
import { once } from 'node:events'
import { open, type FileHandle } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { errno } from '../base/errors.ts'
import { redact } from '../base/redact.ts'
import type { Run } from '../model/run.ts'
import { SECURITY_HEADERS } from './answer.ts'

const LEVELS = ['debug', 'info', 'warn', 'error'] as const
const CHUNK = 64 * 1024
const FOLLOW_MS = 400

interface Options {
  run: () => Run
  query: { level?: (typeof LEVELS)[number] | undefined; follow?: boolean | undefined; download?: boolean | undefined }
  request: IncomingMessage
  response: ServerResponse
  signal: AbortSignal
}

export async function streamLog({ run, query, request, response, signal }: Options): Promise<void> {
  const { id } = run()
  response.writeHead(200, {
    ...SECURITY_HEADERS,
    'content-type': 'application/x-ndjson; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    ...(query.download && {
      'content-disposition': `attachment; filename="run-${id.replaceAll(/[^\w-]/g, '')}.ndjson"`,
    }),
  })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  const wanted = LEVELS.indexOf(query.level ?? 'debug')
  const tail = logTail(run)
  try {
    for (;;) {
      // Asked before reading: what is written up to the end is read then.
      const ended = run().endedAt !== undefined
      for await (const lines of tail.lines()) {
        const text = lines.filter((line) => levelOf(line) >= wanted).join('\n')
        if (text !== '' && !response.write(`${redact(text)}\n`)) await once(response, 'drain', { signal })
      }
      if (ended || query.follow !== true || signal.aborted) break
      await delay(FOLLOW_MS, undefined, { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await tail.close()
  }
  response.end()
}

/** Whole lines that came since the last look; the file may come later than the run. */
export function logTail(run: () => Run): { lines(): AsyncGenerator<string[]>; close(): Promise<void> } {
  let file: FileHandle | undefined
  let at = 0
  let rest = ''
  return {
    async *lines() {
      const path = run().log
      if (path === undefined) return
      try {
        file ??= await open(path, 'r')
      } catch (error) {
        if (errno(error) === 'ENOENT') return
        throw error
      }
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK), 0, CHUNK, at)
        if (bytesRead === 0) return
        // A character may be cut: what is not a whole line is read again.
        const end = buffer.lastIndexOf(10, bytesRead - 1) + 1
        if (end === 0) {
          if (bytesRead < CHUNK) return
          rest += buffer.toString('utf8', 0, bytesRead)
          at += bytesRead
          continue
        }
        at += end
        const text = rest + buffer.toString('utf8', 0, end - 1)
        rest = ''
        yield text.split('\n')
      }
    },
    async close() {
      await file?.close()
    },
  }
}

function levelOf(line: string): number {
  const [, level = 'info'] = /"level":"(\w+)"/.exec(line) ?? []
  return LEVELS.findIndex((one) => one === level)
}
