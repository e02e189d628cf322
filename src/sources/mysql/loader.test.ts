import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { noMariadb, PASSWORD, startMariadb } from '../../../test/servers/mariadb.ts'
import { literalSecret } from '../../model/secret.ts'
import { loader } from './loader.ts'
import { connect, serverOf } from './server.ts'

test(
  'driver:mariadb: a statement that the server takes back to end a deadlock is run again',
  { skip: noMariadb ?? false },
  async () => {
    const server = await startMariadb()
    try {
      const to = await serverOf({
        host: '127.0.0.1',
        port: server.port,
        user: 'admin',
        password: literalSecret(PASSWORD, 'test'),
      })
      server.sql('mysql', 'create database shop; create table shop.t (id int primary key, note text) engine innodb')
      await using other = await connect(to)
      await using lane = await connect(to)
      // The one that has written less is the one that is taken back.
      await other.run('begin')
      await other.run("insert into shop.t select seq, 'other' from shop.seq_100_to_300")
      await other.run("insert into shop.t values (2, 'other')")
      const load = await loader([lane])
      await load.run(Buffer.from("insert into shop.t values (1, 'lane'), (2, 'lane')"))
      const waits = 'select count(*) from information_schema.innodb_trx where trx_state = "LOCK WAIT"'
      while (server.sql('mysql', waits) !== '1') await once(AbortSignal.timeout(20), 'abort')
      // Waits for row 1 of the lane, which waits for row 2 of this.
      await other.run("insert into shop.t values (1, 'other')")
      await other.run('rollback')
      await load.done()
      assert.equal(server.sql('shop', 'select group_concat(id, note order by id) from t'), '1lane,2lane')
    } finally {
      await server.stop()
    }
  },
)
