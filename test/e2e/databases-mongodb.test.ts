import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { BSON, Double, Long, ObjectId } from 'mongodb'
import { noMongodb, startMongodb, type MongoServer } from '../servers/ferretdb.ts'
import { holdfast, lines, scratch, summary, untilStored } from '../support/holdfast.ts'

const skip = noMongodb ?? false
let server: MongoServer
const at = (): string[] => ['--db', 'mongodb', '--host', '127.0.0.1', '--port', String(server.port)]

async function rawOf(database: string, collection: string): Promise<string> {
  const found: string[] = []
  for await (const each of server.client
    .db(database)
    .collection(collection)
    .find({}, { raw: true, sort: { _id: 1 } }))
    found.push(Buffer.from(each as unknown as Uint8Array).toString('hex'))
  return found.join()
}

before(async () => {
  if (noMongodb !== undefined) return
  server = await startMongodb({ replicaSet: true })
  const shop = server.client.db('shop')
  const orders = Array.from({ length: 5000 }, (_, i) => ({
    _id: i,
    note: 'x'.repeat(300),
    price: new Double(i),
    big: new Long(i),
    at: new Date(i),
  }))
  await shop.collection<{ _id: number }>('orders').insertMany(orders)
  await shop.collection('orders').createIndex({ price: 1, at: -1 }, { name: 'by price', unique: true })
  // Keys like numbers, in an order that no JavaScript object has.
  await shop.command({
    insert: 'odd keys',
    documents: [
      new Map([
        ['_id', 1],
        ['2', 1],
        ['1', 2],
      ]),
    ],
  })
  await shop.createCollection('capped', { capped: true, size: 100_000 })
  await shop.collection('empty').insertOne({ _id: new ObjectId() })
  await shop.collection('empty').deleteMany({})
  await server.client
    .db('other')
    .collection('things')
    .insertMany([{ a: 1 }, { a: 2 }])
})
after(async () => server?.stop())

test('driver:mongodb: a database comes back whole, renamed and by collection, byte for byte', { skip }, async (t) => {
  const hf = holdfast(scratch(t, 'mongodb'))
  const backup = await hf.run(['backup', ...at(), '--out', './vault', '--json'])
  assert.equal(backup.code, 0, backup.stderr)
  assert.match(backup.stdout + backup.stderr, /as of the moments in which it was read/)
  const tables = (await hf.run(['ls', 'latest', '--tables', '--vault', './vault'])).stdout
  assert.match(tables, /shop +empty +0 +0 B\n(.*\n)*shop +orders +5000 +1\.\d+ MiB\n/)
  const restore = ['restore', 'latest', '--vault', './vault', ...at()]
  assert.match((await hf.run([...restore, '--database', 'copy'])).stderr, /several databases in this backup/)
  const plan = await hf.run([...restore, '--database', 'copy', '--from-database', 'shop', '--dry-run'])
  assert.match(plan.stdout, /create +copy\/orders/)
  assert.deepEqual(await server.client.db('copy').listCollections().toArray(), [])
  const done = await hf.run([...restore, '--database', 'copy', '--from-database', 'shop'])
  assert.equal(done.code, 0, done.stderr)
  const copy = server.client.db('copy')
  const names = async () =>
    (await copy.listCollections().toArray()).map(({ name }) => name).sort((a, b) => (a < b ? -1 : 1))
  assert.deepEqual(await names(), ['capped', 'empty', 'odd keys', 'orders'])
  for (const name of ['orders', 'odd keys']) assert.equal(await rawOf('copy', name), await rawOf('shop', name))
  const [, index] = await copy.collection('orders').listIndexes().toArray()
  assert.deepEqual([index?.['name'], index?.['unique'], index?.['key']], ['by price', true, { price: 1, at: -1 }])
  const [capped] = await copy.listCollections({ name: 'capped' }).toArray()
  assert.deepEqual(capped && 'options' in capped ? capped.options : {}, { capped: true, size: 100_000 })

  await copy.collection('orders').deleteMany({ price: { $gt: 10 } })
  const single = [...restore, '--database', 'copy', '--from-database', 'shop', '--only', 'orders']
  assert.match((await hf.run(single)).stderr, /restore.exists.*copy has orders already/)
  const replaced = await hf.run([...single, '--overwrite', 'always'])
  assert.equal(replaced.code, 0, replaced.stderr)
  assert.equal(await copy.collection('orders').countDocuments(), 5000)
  const aside = (await names()).find((name) => name.startsWith('orders_before_'))
  assert.equal(await copy.collection(aside ?? '').countDocuments(), 11, 'what was there is kept')
  assert.match(
    (await hf.run([...restore, '--from-database', 'shop', '--database', 'copy', '--only', 'nothing'])).stderr,
    /no such database or collection/,
  )
  assert.ok(!(await names()).some((name) => name.startsWith('holdfast_restore')))

  await hf.run(['restore', 'latest', '--vault', './vault', '--to', './files'])
  const file = readFileSync(join(hf.dir, 'files/shop/orders.bson'))
  let documents = 0
  for (let from = 0; from < file.length; from += file.readInt32LE(from), documents += 1)
    BSON.deserialize(file.subarray(from, from + file.readInt32LE(from)))
  assert.equal(documents, 5000)
  const metadata = JSON.parse(readFileSync(join(hf.dir, 'files/shop/orders.metadata.json'), 'utf8'))
  assert.equal(metadata.collectionName, 'orders')
  assert.deepEqual(metadata.indexes[1].key, { price: { $numberInt: '1' }, at: { $numberInt: '-1' } }, 'extended JSON')

  const proof = await hf.run(['verify', 'latest', '--vault', './vault', '--level', 'V4'])
  assert.match(proof.stdout, /starts no MongoDB of its own/)
})

test('driver:mongodb: what did not change is not stored again; patterns choose', { skip }, async (t) => {
  const hf = holdfast(scratch(t, 'mongodb'))
  const args = [
    'backup',
    ...at(),
    '--database',
    'sh*',
    '--exclude-table',
    'odd*',
    '--out',
    './vault',
    '--type',
    'incremental',
    '--json',
  ]
  await hf.run(args)
  const again = summary((await hf.run(args)).stdout)
  assert.ok(Number(again['data_added']) < 5000, JSON.stringify(again))
  const { stdout } = await hf.run(['ls', 'latest', '--vault', './vault'])
  assert.ok(!/odd|other/.test(stdout), stdout)
})

test(
  'driver:mongodb: a standalone server is told why it has no oplog; faults have their codes',
  { skip },
  async (t) => {
    const dir = scratch(t, 'mongodb')
    const hf = holdfast(dir)
    const alone = await startMongodb()
    t.after(async () => alone.stop())
    await alone.client.db('one').collection('c').insertOne({ a: 1 })
    writeFileSync(
      join(dir, 'holdfast.yaml'),
      `vaults: { v: { storage: ./vault, format: archive } }
jobs: { one: { source: { type: mongodb, url: "mongodb://127.0.0.1:${alone.port}/one?directConnection=true" }, vaults: [v] } }
`,
      { mode: 0o600 },
    )
    const doctor = lines((await hf.run(['doctor', '--job', 'one', '--json'])).stdout)
    assert.ok(doctor.some(({ detail }) => /a standalone server has none/.test(String(detail))))
    assert.equal((await hf.run(['backup'])).code, 0)
    const fails = async (args: string[], message: RegExp) => {
      const ended = await hf.run(['backup', ...at(), '--out', './other', ...args])
      assert.equal(ended.code, 14, ended.stderr)
      assert.match(ended.stderr, message)
    }
    await fails(['--database', 'nothing'], /source.not-found.*no database nothing/)
    await fails(['--port', '1'], /source.unreachable/)
    await fails(['--tls', 'require'], /source.unreachable/)
  },
)

test('driver:mongodb: a server that dies in the middle makes no backup', { skip }, async (t) => {
  const hf = holdfast(scratch(t, 'mongodb'))
  const dying = await startMongodb()
  // Each is stored when it has been read: a large one would lie in a temporary file first.
  for (const name of 'abcdefghijkl') {
    const documents = Array.from({ length: 20 }, () => ({ pad: 'y'.repeat(500_000) }))
    await dying.client.db('big').collection(name).insertMany(documents)
  }
  const args = [
    'backup',
    '--db',
    'mongodb',
    '--host',
    '127.0.0.1',
    '--port',
    String(dying.port),
    '--database',
    'big',
    '--out',
    './vault',
  ]
  const running = hf.start([...args, '--limit-upload', '6000', '--compression', 'none'])
  await untilStored(join(hf.dir, 'vault'), 2e6)
  await dying.stop()
  const ended = await running.ended
  assert.equal(ended.code, 14, ended.stderr)
  assert.equal((await hf.run(['list', '--vault', './vault', '--json'])).stdout.trim(), '[]')
})
