/** A catalogue in PostgreSQL for tests: each in a database of its own. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Clock } from '../../src/base/clock.ts'
import { postgresCatalogue } from '../../src/catalogue/postgres.ts'
import type { Catalogue } from '../../src/model/catalogue.ts'
import { PASSWORD, type PostgresServer } from '../servers/postgres.ts'
import type { SweptCatalogue } from '../faults/service-sweep.ts'
import { scratch } from './holdfast.ts'

let made = 0

/** For the campaign that hurts it. */
export function sweptCatalogue(server: PostgresServer): SweptCatalogue {
  return {
    url: catalogueUrl(server),
    crash: async () => server.crash(),
    cut: () =>
      void server.sql(
        'postgres',
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holdfast'`,
      ),
  }
}

export function catalogueUrl(server: PostgresServer): string {
  made += 1
  const name = `catalogue_${process.pid}_${made}`
  server.sql('postgres', `create database ${name}`)
  return `postgres://admin:${PASSWORD}@127.0.0.1:${server.port}/${name}`
}

export function catalogueInPostgres(t: TestContext, server: PostgresServer, clock: Clock): Catalogue {
  const dir = join(scratch(t, 'catalogue'), 'state')
  mkdirSync(dir)
  const catalogue = postgresCatalogue(catalogueUrl(server), clock, join(dir, 'server.key'))
  t.after(() => catalogue.close())
  return catalogue
}
