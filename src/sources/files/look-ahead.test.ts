import assert from 'node:assert/strict'
import { lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SourceEntry } from '../../model/entry.ts'
import { scratch } from '../../../test/support/file-tree.ts'
import { LookAhead, type Seen } from './look-ahead.ts'
import { files } from './source.ts'
import { STAT_FIELDS } from './stat-entry.ts'

/** The thread is never waited for, so the test asks again: first for what makes the thread go there. */
async function seen(ahead: LookAhead, before: string, at: string): Promise<Seen> {
  for (;;) {
    ahead.take(before)
    for (let tries = 0; tries < 20; tries += 1) {
      await sleep(10)
      const found = ahead.take(at)
      if (found !== undefined) return found
      ahead.take(before)
    }
  }
}

test('folders ahead are seen as lstat tells them, also after a jump', async (t) => {
  const dir = scratch(t)
  for (const folder of ['a/x', 'b/y', 'c']) mkdirSync(join(dir, folder), { recursive: true })
  for (const name of ['a/1', 'a/x/2', 'b/ä', 'b/y/3']) writeFileSync(join(dir, name), name)
  writeFileSync(Buffer.concat([Buffer.from(join(dir, 'b/')), Buffer.of(0xff)]), 'bytes')
  symlinkSync('nowhere', join(dir, 'b/link'))
  const ahead = new LookAhead()
  t.after(() => ahead.close())
  const there = await seen(ahead, dir, join(dir, 'b'))
  assert.deepEqual(there.names, readdirSync(join(dir, 'b'), { encoding: 'latin1' }).sort())
  for (const [number, name] of there.names.entries()) {
    const path = Buffer.concat([Buffer.from(join(dir, 'b/')), Buffer.from(name, 'latin1')])
    const stat = lstatSync(path, { bigint: true })
    assert.deepEqual(there.stat(number), Object.fromEntries(STAT_FIELDS.map((field) => [field, stat[field]])))
  }
  // What lies before it is not told any more; the thread goes where it is wanted.
  assert.deepEqual((await seen(ahead, join(dir, 'a'), join(dir, 'a/x'))).names, ['2'])
  assert.deepEqual((await seen(ahead, dir, join(dir, 'c'))).names, [])
})

test('a walk with a thread ahead gives the same entries as one without', async (t) => {
  const dir = scratch(t)
  for (let folder = 0; folder < 120; folder += 1) {
    const at = join(dir, `part${folder % 7}`, folder % 5 === 0 ? 'left-out' : 'taken', `f${folder}`)
    mkdirSync(at, { recursive: true })
    for (let n = 0; n < 120; n += 1) writeFileSync(join(at, `${n}-ü`), n % 3 === 0 ? '' : 'content')
    writeFileSync(Buffer.concat([Buffer.from(`${at}/`), Buffer.of(0xfe, 0x41)]), 'bytes')
    symlinkSync('../elsewhere', join(at, 'link'))
  }
  async function read(ahead: boolean): Promise<Record<string, unknown>[]> {
    const source = files({ paths: [dir], exclude: ['left-out/f1*'] })
    const reading = await source.read({ onWarning: () => undefined })
    if (ahead) reading.expectUnchanged?.()
    const found: Record<string, unknown>[] = []
    for await (const entry of reading.entries()) {
      // The folders above are others' too, and change meanwhile.
      if (`/${entry.path}`.startsWith(dir)) found.push(plain(entry))
      // So that the thread comes ahead of the walk, once there is one.
      if (ahead && entry.kind === 'directory' && found.length > 9000) await sleep(5)
    }
    await reading.close()
    return found
  }
  const [without, withThread] = [await read(false), await read(true)]
  assert.ok(without.length > 13_000)
  assert.deepEqual(withThread, without)
})

const plain = ({ open: _open, local: _local, ...entry }: SourceEntry): Record<string, unknown> => ({ ...entry })
