/**
 * `npm run bench -- --on databases`: backups and restores of generated databases beside the vendors' own programs, in turns, on
 * servers of their own. Rows have an id, a text, JSON, a number, a timestamp and bytes.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { median, compare, measure, type Command, type Figures } from './measure.ts'
import { noMariadb, PASSWORD as MARIADB_PASSWORD, startMariadb } from '../test/servers/mariadb.ts'
import { noPostgres, PASSWORD, startPostgres } from '../test/servers/postgres.ts'

/** As users start it: with its compiled code kept and its words to the collector. */
const HOLDFAST = [join(import.meta.dirname, '../holdfast')] as const
const MIB = 1024 ** 2
/** Of a row of either database, about. */
const ROW = 620
const LOOPBACK = '127.0.0.1'

interface Line {
  what: string
  peer: string
  peerFigures?: Figures[]
  own: Figures[]
  goal?: number
}

const wall = (figures: readonly Figures[]): number => median(figures.map((one) => one.wall))

export async function databaseBenchmarks(
  dir: string,
  { quick, runs, on }: { quick: boolean; runs: number; on: (name: string) => boolean },
): Promise<string> {
  const mebibytes = quick ? 300 : 5120
  const rows = Math.round((mebibytes * MIB) / ROW)
  const lines: Line[] = []
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  try {
    if (noPostgres === undefined && on('postgres')) lines.push(...(await onPostgres(dir, rows, runs)))
    if (noMariadb === undefined && on('mariadb')) lines.push(...(await onMariadb(dir, rows, runs)))
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
  const table = lines.map(({ what, peer, peerFigures, own, goal }) => {
    const most = Math.max(...own.map((one) => one.mebibytes)).toFixed(0)
    const ratio = peerFigures === undefined ? undefined : wall(own) / wall(peerFigures)
    const met = ratio === undefined || goal === undefined ? '' : `${goal}: ${ratio <= goal ? 'met' : '**missed**'}`
    const other = peerFigures === undefined ? '–' : `${wall(peerFigures).toFixed(1)} s`
    return `| ${what}${peer === '' ? '' : `, beside \`${peer.replaceAll('|', String.raw`\|`)}\``} | ${other} | ${wall(own).toFixed(1)} s | ${ratio?.toFixed(2) ?? '–'} | ${met} | ${most} MiB |`
  })
  return [
    '',
    `### Databases, ${mebibytes} MiB, ${runs} runs`,
    '',
    '| case | peer | Holdfast | ratio | goal | memory |',
    '|---|--:|--:|--:|--:|--:|',
    ...table,
    '',
  ].join('\n')
}

/** Holdfast first and last: what it is compared with runs in between. */
function beside(
  what: string,
  own: Command,
  peers: readonly (Command & { goal: number })[],
  runs: number,
  dir: string,
): Line[] {
  const [first = [], ...others] = compare([own, ...peers], runs, dir)
  return peers.map(({ name, goal }, at) => ({ what, peer: name, peerFigures: others[at] ?? [], own: first, goal }))
}

async function onPostgres(dir: string, rows: number, runs: number): Promise<Line[]> {
  const server = await startPostgres()
  try {
    const env = { PGHOST: LOOPBACK, PGPORT: String(server.port), PGUSER: 'admin', PGPASSWORD: PASSWORD }
    server.sql('postgres', 'create database shop')
    server.sql(
      'shop',
      `create table orders (id bigint primary key, note text, doc jsonb, price numeric(12, 2), at timestamptz, raw bytea);
       insert into orders select i, (select string_agg(md5((i * 7 + k)::text), ' ') from generate_series(1, 6) k),
         jsonb_build_object('customer', i % 5000, 'state', 'open', 'tags', jsonb_build_array('a', 'b', md5(i::text))),
         (i * 37 % 100000) / 100.0, '2026-01-01'::timestamptz + i * interval '1 second', decode(md5(i::text) || md5((i + 1)::text), 'hex')
       from generate_series(1, ${rows}) i; create index on orders (at); analyze orders`,
    )
    writeFileSync(
      join(dir, 'holdfast.yaml'),
      `vaults: { p: { storage: ./physical, format: archive } }
jobs: { cluster: { source: { type: postgres, method: physical, host: ${LOOPBACK}, port: ${server.port}, user: admin, password: ${PASSWORD} }, vaults: [p] } }
`,
      { mode: 0o600 },
    )
    const at = ['--db', 'postgres', '--host', LOOPBACK, '--port', String(server.port), '--user', 'admin']
    const fresh =
      (...names: string[]) =>
      (): void => {
        for (const name of names) rmSync(join(dir, name), { recursive: true, force: true })
      }
    const backup = (vault: string, format: string, type: string): Command => ({
      name: 'holdfast',
      run: [...HOLDFAST, 'backup', ...at, '--database', 'shop', '--to', vault, '--format', format, '--type', type],
      // An archive would be encrypted by it.
      env: { ...env, ...(format === 'repository' && { HOLDFAST_PASSWORD: 'bench' }) },
    })
    const logical = beside(
      'PostgreSQL, logical',
      { ...backup('./vault', 'archive', 'full'), prepare: fresh('vault') },
      [
        { name: 'pg_dump -Fd -j2', run: 'pg_dump -Fd -j2 -f folder shop', env, prepare: fresh('folder'), goal: 1 },
        {
          name: 'pg_dump | zstd -3 -T0',
          run: 'pg_dump shop | zstd -q -3 -T0 > dump.zst',
          env,
          prepare: fresh('dump.zst'),
          goal: 1,
        },
        { name: 'pg_dump | gzip', run: 'pg_dump shop | gzip > dump.gz', env, prepare: fresh('dump.gz'), goal: 0.4 },
      ],
      runs,
      dir,
    )
    const drop = (): void => void server.sql('postgres', 'drop database if exists copy')
    const restored = beside(
      'restore',
      {
        name: 'holdfast',
        run: [...HOLDFAST, 'restore', 'latest', '--vault', './vault', ...at, '--database', 'copy'],
        env,
        prepare: drop,
      },
      [
        {
          name: 'pg_restore -j2',
          run: 'createdb copy && pg_restore -j2 -d copy folder',
          env,
          prepare: drop,
          goal: 1,
        },
      ],
      runs,
      dir,
    )
    drop()
    const physical = beside(
      'PostgreSQL, physical',
      { name: 'holdfast', run: [...HOLDFAST, 'backup', 'cluster', '--type', 'full'], prepare: fresh('physical') },
      [
        {
          name: 'pg_basebackup -Ft | zstd -3 -T0',
          run: 'pg_basebackup -c fast -X fetch -Ft -D - | zstd -q -3 -T0 > base.zst',
          env,
          prepare: fresh('base.zst'),
          goal: 1,
        },
      ],
      runs,
      dir,
    )
    measure({ ...backup('./repository', 'repository', 'full') }, dir)
    server.sql('shop', `update orders set note = 'changed' where id <= ${Math.round(rows / 100)}`)
    const again = measure(backup('./repository', 'repository', 'incremental'), dir)
    return [
      ...logical,
      ...restored,
      ...physical,
      { what: '1 % of the rows changed, repository', peer: '', own: [again] },
    ]
  } finally {
    await server.stop()
  }
}

async function onMariadb(dir: string, rows: number, runs: number): Promise<Line[]> {
  const server = await startMariadb()
  try {
    const env = { MYSQL_PWD: MARIADB_PASSWORD }
    const at = `-h ${LOOPBACK} -P ${server.port} -u admin`
    server.sql(
      'mysql',
      `create database shop; create table shop.orders (id bigint primary key, note text, doc json, price decimal(12, 2), at timestamp(6), raw varbinary(100), key (at));
       insert into shop.orders select seq, concat_ws(' ', md5(seq * 7), md5(seq * 7 + 1), md5(seq * 7 + 2), md5(seq * 7 + 3), md5(seq * 7 + 4), md5(seq * 7 + 5)),
         json_object('customer', seq % 5000, 'state', 'open', 'hash', md5(seq)), (seq * 37 % 100000) / 100, '2026-01-01' + interval seq second, unhex(concat(md5(seq), md5(seq + 1)))
       from seq_1_to_${rows}`,
    )
    const dump = 'mariadb-dump --no-defaults --single-transaction --quick --routines --events --triggers --hex-blob'
    const own = ['--db', 'mariadb', '--host', LOOPBACK, '--port', String(server.port), '--user', 'admin']
    const logical = beside(
      'MariaDB',
      {
        name: 'holdfast',
        run: [
          ...HOLDFAST,
          'backup',
          ...own,
          '--database',
          'shop',
          '--to',
          './mariadb',
          '--format',
          'archive',
          '--type',
          'full',
        ],
        env,
        prepare: () => rmSync(join(dir, 'mariadb'), { recursive: true, force: true }),
      },
      [
        {
          name: 'mariadb-dump | zstd -3 -T0',
          run: `${dump} ${at} shop | zstd -q -3 -T0 -f -o shop.zst`,
          env,
          goal: 0.67,
        },
      ],
      runs,
      dir,
    )
    const drop = (): void => void server.sql('mysql', 'drop database if exists copy')
    const restored = beside(
      'restore',
      {
        name: 'holdfast',
        run: [...HOLDFAST, 'restore', 'latest', '--vault', './mariadb', ...own, '--database', 'copy'],
        env,
        prepare: drop,
      },
      [
        {
          name: 'zstd -d | mariadb',
          run: `zstd -q -d -c shop.zst | mariadb --no-defaults ${at} copy`,
          env,
          prepare() {
            drop()
            server.sql('mysql', 'create database copy')
          },
          goal: 1,
        },
      ],
      runs,
      dir,
    )
    return [...logical, ...restored]
  } finally {
    await server.stop()
  }
}
