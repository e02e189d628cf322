/**
 * Stands before a real server and lets requests through, but those for which a fault is told: for what real servers do
 * not do on demand. The server behind keeps its own state, so what a driver makes of a fault shows in what is stored.
 */
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Passing {
  method: string
  /** With the query. */
  path: string
  headers: Record<string, string | undefined>
  /** Bytes of the body. */
  length: number
}

export type Fault =
  /** Answers so, without asking the server. */
  | { status: number; headers?: Record<string, string>; body?: string }
  /** Does what was asked, then closes the connection without an answer. */
  | 'lost'
  /** Closes the connection at once. */
  | 'reset'
  /** Never answers. */
  | 'stall'
  /** Gives so much of the answer's body, then closes the connection, or sends nothing more. */
  | { cutAfter: number }
  | { stallAfter: number }
  /** Changes one byte of the answer's body. */
  | 'flip'
  /** Gives the answer's body some bytes at a time. */
  | { slowly: { bytes: number; everyMs: number } }
  /** Gives another answer than the server. */
  | { change: (answer: { headers: Record<string, string>; body: Buffer }) => void }

export interface FaultProxy {
  origin: string
  seen: Passing[]
  script: (passing: Passing) => Fault | undefined
  /** Sees each request with its fault, and may answer in place of a server that knows less than the real one. */
  around: (passing: Passing, fault: Fault | undefined) => Fault | undefined
  stop(): Promise<void>
}

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const http = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => incoming.socket.destroy())
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const proxy: FaultProxy = {
    origin,
    seen: [],
    script: () => undefined,
    around: (_passing, fault) => fault,
    async stop() {
      http.closeAllConnections()
      http.close()
      await once(http, 'close')
    },
  }

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await bytesOf(incoming)
    const headers = incoming.headers as Record<string, string | undefined>
    const passing = { method: incoming.method ?? '', path: incoming.url ?? '/', headers, length: body.length }
    proxy.seen.push(passing)
    const fault = proxy.around(passing, proxy.script(passing))
    if (fault === 'stall') return
    if (fault === 'reset') return void incoming.socket.destroy()
    if (typeof fault === 'object' && 'status' in fault) {
      outgoing.writeHead(fault.status, fault.headers)
      return void outgoing.end(fault.body)
    }
    const answer = await ask(target, passing, body)
    if (fault === 'lost') return void incoming.socket.destroy()
    // Addresses that the server gives lead back to here.
    const { location } = answer.headers
    if (location !== undefined) answer.headers['location'] = location.replace(target, origin)
    if (typeof fault === 'object' && 'change' in fault) fault.change(answer)
    if (fault === 'flip' && answer.body.length > 0)
      answer.body[answer.body.length >> 1] = (answer.body[answer.body.length >> 1] ?? 0) ^ 1
    if (passing.method !== 'HEAD' && answer.status !== 204)
      answer.headers['content-length'] = String(answer.body.length)
    outgoing.writeHead(answer.status, answer.headers)
    await send(outgoing, passing.method === 'HEAD' ? Buffer.alloc(0) : answer.body, fault)
  }
  return proxy
}

async function send(outgoing: ServerResponse, body: Buffer, fault: Fault | undefined): Promise<void> {
  if (typeof fault !== 'object') return void outgoing.end(body)
  if ('cutAfter' in fault) {
    outgoing.write(body.subarray(0, fault.cutAfter), () => setTimeout(() => outgoing.destroy(), 20))
  } else if ('stallAfter' in fault) outgoing.write(body.subarray(0, fault.stallAfter))
  else if ('slowly' in fault) {
    for (let at = 0; at < body.length; at += fault.slowly.bytes) {
      outgoing.write(body.subarray(at, at + fault.slowly.bytes))
      await new Promise((resolve) => setTimeout(resolve, fault.slowly.everyMs))
    }
    outgoing.end()
  } else outgoing.end(body)
}

async function ask(
  target: string,
  { method, path, headers }: Passing,
  body: Buffer,
): Promise<{ status: number; headers: Record<string, string>; body: Buffer }> {
  const { 'transfer-encoding': _, ...kept } = headers
  const sending = request(`${target}${path}`, { method, headers: { ...kept, 'content-length': String(body.length) } })
  sending.end(body)
  const [message] = (await once(sending, 'response')) as [IncomingMessage]
  const answered = await bytesOf(message)
  const { connection: __, 'transfer-encoding': ___, ...given } = message.headers as Record<string, string>
  return { status: message.statusCode ?? 500, headers: given, body: answered }
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
