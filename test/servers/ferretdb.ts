/** FerretDB, which speaks the protocol of MongoDB and keeps its data in SQLite files. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import { startServer } from './processes.ts'

/** Why MongoDB cannot be tested here, if it cannot. */
export const noMongodb: string | undefined =
  process.env['HOLDFAST_TEST_FERRETDB'] === undefined ? 'FerretDB is not there (HOLDFAST_TEST_FERRETDB)' : undefined

export interface MongoServer {
  port: number
  client: MongoClient
  stop(): Promise<void>
}

export async function startMongodb(options: { replicaSet?: boolean } = {}): Promise<MongoServer> {
  const server = await startServer((port, folder) => {
    const data = join(folder, 'data')
    mkdirSync(data)
    return {
      program: process.env['HOLDFAST_TEST_FERRETDB'] ?? 'ferretdb',
      args: [
        '--handler=sqlite',
        `--sqlite-url=file:${data}/`,
        `--listen-addr=127.0.0.1:${port}`,
        `--state-dir=${folder}`,
        '--debug-addr=-',
        '--telemetry=disable',
        '--log-level=error',
        ...(options.replicaSet === true ? ['--repl-set-name=rs0'] : []),
      ],
    }
  })
  const client = new MongoClient(`mongodb://127.0.0.1:${server.port}/?directConnection=true`)
  await client.connect()
  return {
    port: server.port,
    client,
    async stop() {
      await client.close()
      await server.stop()
    },
  }
}
