import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { contentOf, pathsBelow, plant, plantDeep, readTree, scratch } from '../../../test/support/file-tree.ts'
import { isAppError } from '../../base/errors.ts'
import { comparePaths, displayPath } from '../../base/paths.ts'
import type { Warning } from '../../model/progress.ts'
import { files } from './index.ts'
import { loadLibc } from './libc.ts'

const isRoot = process.getuid?.() === 0
const rootOnly = isRoot ? {} : { skip: 'needs root' }

test('a folder is read whole, below the real folders that lead to it', async (t) => {
  const dir = scratch(t)
  plant(dir, { 'a/one': '1', 'a/two': '22', 'b/': '' })
  const tree = await readTree({ paths: [dir] })
  assert.deepEqual(pathsBelow(tree, dir), ['a', 'a/one', 'a/two', 'b'])
  const above = dir.slice(1).split('/')
  assert.deepEqual(
    tree.entries.slice(0, above.length).map(({ path, kind }) => [path, kind]),
    above.map((_, at) => [above.slice(0, at + 1).join('/'), 'directory']),
  )
  assert.equal(tree.entries[0]?.mode, 0o1777, 'the mode of /tmp')
  assert.equal(tree.entries.find(({ path }) => path.endsWith('a/two'))?.content?.toString(), '22')
  assert.deepEqual(tree.warnings, [])
  assert.deepEqual(tree.facts, { files: 2, folders: above.length + 2, bytes: 3 })
})

test('entries come in path order: by bytes, component by component', async (t) => {
  const dir = scratch(t)
  plant(dir, { 'a/x': '', 'a.b': '', 'a b': '', 'a-/y': '', B: '', ä: '', '\u{1f600}': '', '\uffee': '' })
  const paths = (await readTree({ paths: [dir] })).entries.map(({ path }) => path)
  assert.deepEqual(paths, paths.toSorted(comparePaths))
  assert.equal(new Set(paths).size, paths.length)
})

test('several roots, nested and named twice, give each path once and in order', async (t) => {
  const dir = scratch(t)
  plant(dir, { 'x/one': '', 'x/y/two': '', 'x.z/three': '', 'other/four': '' })
  const paths = [join(dir, 'x.z'), join(dir, 'x/y/'), join(dir, 'x'), join(dir, 'x'), `${dir}/other/../x`]
  const tree = await readTree({ paths })
  assert.deepEqual(pathsBelow(tree, dir), ['x', 'x/one', 'x/y', 'x/y/two', 'x.z', 'x.z/three'])
})

test('every type of file is an entry of its own kind', rootOnly, async (t) => {
  const dir = scratch(t)
  writeFileSync(join(dir, 'file'), 'text', { mode: 0o640 })
  symlinkSync('nowhere/\u00e9', join(dir, 'link'))
  execFileSync('mkfifo', ['-m', '604', join(dir, 'fifo')])
  execFileSync('mknod', ['-m', '660', join(dir, 'char'), 'c', '5', '300'])
  execFileSync('mknod', ['-m', '660', join(dir, 'disk'), 'b', '259', '1'])
  execFileSync('chmod', ['6751', join(dir, 'file')])
  const { entries } = await readTree({ paths: [dir] })
  const of = (name: string): (typeof entries)[number] | undefined =>
    entries.find(({ path }) => path.endsWith(`/${name}`))
  assert.deepEqual([of('file')?.kind, of('file')?.mode, of('file')?.size], ['file', 0o6751, 4])
  assert.deepEqual([of('link')?.kind, of('link')?.linkTarget, of('link')?.size], ['symlink', 'nowhere/\u00e9', 0])
  assert.deepEqual([of('fifo')?.kind, of('fifo')?.mode], ['fifo', 0o604])
  assert.deepEqual([of('char')?.kind, of('char')?.rdev], ['chardev', { major: 5, minor: 300 }])
  assert.deepEqual([of('disk')?.kind, of('disk')?.rdev], ['blockdev', { major: 259, minor: 1 }])
})

test('a socket is left out with a note that is no failure', async (t) => {
  const dir = scratch(t)
  const server = createServer().listen(join(dir, 's'))
  t.after(() => server.close())
  await new Promise((resolve) => server.on('listening', resolve))
  const tree = await readTree({ paths: [dir] })
  assert.deepEqual(pathsBelow(tree, dir), [])
  assert.deepEqual(
    tree.warnings.map(({ code }) => code),
    ['note'],
  )
})

test('further names of a file are hardlinks to its first, without content', async (t) => {
  const dir = scratch(t)
  plant(dir, { 'a/first': 'shared', single: 's' })
  linkSync(join(dir, 'a/first'), join(dir, 'a/second'))
  linkSync(join(dir, 'a/first'), join(dir, 'third'))
  const { entries } = await readTree({ paths: [dir] })
  const rows = entries
    .filter(({ kind }) => kind === 'file')
    .map((entry) => [
      entry.path.slice(dir.length),
      entry.links,
      entry.hardlink?.slice(dir.length),
      entry.open !== undefined,
    ])
  assert.deepEqual(rows, [
    ['a/first', 3, undefined, true],
    ['a/second', 3, 'a/first', false],
    ['single', undefined, undefined, true],
    ['third', 3, 'a/first', false],
  ])
})

test('times are exact to the nanosecond, also before 1970', async (t) => {
  const dir = scratch(t)
  plant(dir, { old: '', exact: '' })
  execFileSync('touch', ['-d', '1961-04-12T06:07:00.123456789Z', join(dir, 'old')])
  execFileSync('touch', ['-d', '2024-02-29T12:00:00.000000001Z', join(dir, 'exact')])
  const { entries } = await readTree({ paths: [dir] })
  const times = Object.fromEntries(entries.map(({ path, mtime }) => [path.slice(dir.length), mtime]))
  assert.deepEqual(times['old'], { s: Date.parse('1961-04-12T06:07:00Z') / 1000, ns: 123_456_789 })
  assert.deepEqual(times['exact'], { s: Date.parse('2024-02-29T12:00:00Z') / 1000, ns: 1 })
})

test('owners come with their names, unknown ones without', rootOnly, async (t) => {
  const dir = scratch(t)
  plant(dir, { known: '', unknown: '' })
  execFileSync('chown', ['daemon:bin', join(dir, 'known')])
  execFileSync('chown', ['54321:54322', join(dir, 'unknown')])
  const { entries } = await readTree({ paths: [dir] })
  const owners = entries.slice(-2).map(({ uid, gid, user, group }) => [uid, gid, user, group])
  assert.deepEqual(owners, [
    [1, 2, 'daemon', 'bin'],
    [54_321, 54_322, undefined, undefined],
  ])
})

test('names of any bytes are read exactly', async (t) => {
  const dir = scratch(t)
  const folder = Buffer.concat([Buffer.from(`${dir}/`), Buffer.of(0xff, 0x20, 0xc3)])
  mkdirSync(folder)
  for (let byte = 1; byte < 256; byte += 1) {
    if (byte === 0x2f) continue
    writeFileSync(Buffer.concat([folder, Buffer.from('/x'), Buffer.of(byte)]), String(byte))
  }
  symlinkSync(Buffer.of(0x80, 0x81), Buffer.concat([folder, Buffer.from('/link')]))
  const { entries, warnings } = await readTree({ paths: [dir] })
  assert.deepEqual(warnings, [])
  const inside = entries.filter(({ path }) => path.startsWith(`${dir.slice(1)}/\udcff \udcc3/`))
  assert.equal(inside.length, 255)
  assert.equal(inside[0]?.linkTarget, '\udc80\udc81')
  for (const { path, content, kind } of inside) {
    if (kind === 'file') assert.equal(displayPath(path), displayPath(pathOfByte(dir, Number(content?.toString()))))
  }
})

const pathOfByte = (dir: string, byte: number): string =>
  `${dir.slice(1)}/\udcff \udcc3/x${String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)}`

test('paths beyond 4,096 bytes are read to the end', async (t) => {
  const dir = scratch(t)
  plantDeep(dir, 40)
  const { entries, warnings } = await readTree({ paths: [dir] })
  assert.deepEqual(warnings, [])
  const [file, link] = entries.slice(-2)
  assert.ok((file?.path.length ?? 0) > 10_000)
  assert.equal(file?.content?.toString(), 'deep\n')
  assert.equal(link?.linkTarget, 'target')
})

test('extended attributes and ACLs come along', async (t) => {
  const dir = scratch(t)
  plant(dir, { plain: '', tagged: '' })
  const set = spawnSync('setfattr', ['-n', 'user.colour', '-v', 'blue', join(dir, 'tagged')])
  if (set.status !== 0 || (await loadLibc()) === undefined) return t.skip('no extended attributes here')
  execFileSync('setfacl', ['-m', 'u:1:r', join(dir, 'tagged')])
  const { entries } = await readTree({ paths: [dir] })
  const [plain, tagged] = entries.slice(-2)
  assert.equal(plain?.xattrs, undefined)
  assert.deepEqual(tagged?.xattrs?.map((each) => each.name).sort(), ['system.posix_acl_access', 'user.colour'])
  assert.equal(Buffer.from(tagged?.xattrs?.find((each) => each.name === 'user.colour')?.value ?? []).toString(), 'blue')
  const without = await readTree({ paths: [dir], xattrs: false })
  assert.equal(without.entries.at(-1)?.xattrs, undefined)
})

test('a sparse file tells where its data lies, and its reader gives that alone once told', async (t) => {
  const dir = scratch(t)
  const fd = openSync(join(dir, 'sparse'), 'w')
  writeSync(fd, 'start', 0)
  writeSync(fd, 'middle', 1_048_576 * 3)
  ftruncateSync(fd, 1_048_576 * 8)
  closeSync(fd)
  const reading = await files({ paths: [dir] }).read({ onWarning: () => undefined })
  for await (const entry of reading.entries()) {
    if (entry.kind !== 'file') continue
    assert.equal(entry.sparse, true)
    const read = await entry.open?.()
    assert.equal(await read?.read(Buffer.alloc(9_000_000)), 1_048_576 * 8, 'whole, for who does not ask for extents')
    await read?.close()
    if ((await loadLibc()) === undefined) return t.skip('no koffi')
    const data = (entry.extents ?? []).reduce((sum, [, length]) => sum + length, 0)
    assert.ok(data > 0 && data < 100_000, `${data} bytes of data`)
    const whole = await contentOf(entry)
    assert.equal(whole.subarray(1_048_576 * 3, 1_048_576 * 3 + 6).toString(), 'middle')
    assert.deepEqual(whole, readFileSync(join(dir, 'sparse')))
  }
  await reading.close()
})

test('unreadable files and folders are warnings, and the rest is read', rootOnly, async (t) => {
  const dir = scratch(t)
  plant(dir, { 'closed/secret': '', 'open/fine': 'ok', 'open/secret': '' })
  execFileSync('sh', ['-c', `chmod 755 "${dir}"; chmod 000 "${dir}/closed" "${dir}/open/secret"`])
  const script = `
    import { files } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))}
    const out = { paths: [], warnings: [], denied: [] }
    const reading = await files({ paths: [${JSON.stringify(dir)}] }).read({ onWarning: (w) => out.warnings.push(w.code) })
    for await (const entry of reading.entries()) {
      out.paths.push(entry.path.slice(${dir.length}))
      try { await (await entry.open?.())?.close() } catch (error) { out.denied.push(error.code) }
    }
    console.log(JSON.stringify(out))`
  const run = spawnSync(
    'setpriv',
    [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      process.execPath,
      '--input-type=module-typescript',
      '-e',
      script,
    ],
    { encoding: 'utf8', cwd: '/' },
  )
  if (run.status !== 0) return t.skip(`cannot run as another user: ${run.stderr.slice(0, 200)}`)
  const out = JSON.parse(run.stdout) as { paths: string[]; warnings: string[]; denied: string[] }
  assert.deepEqual(out.paths.slice(-4), ['closed', 'open', 'open/fine', 'open/secret'])
  assert.deepEqual(out.warnings, ['unreadable'])
  assert.deepEqual(out.denied, ['source.denied'])
})

test('a file that grows while it is read is taken as it was when opened, with a warning', async (t) => {
  const dir = scratch(t)
  plant(dir, { log: 'first line\n' })
  const warnings: Warning[] = []
  const reading = await files({ paths: [dir] }).read({ onWarning: (warning) => warnings.push(warning) })
  for await (const entry of reading.entries()) {
    if (entry.open === undefined) continue
    const reader = await entry.open()
    const buffer = Buffer.alloc(100)
    assert.equal(await reader.read(buffer), 11)
    appendFileSync(join(dir, 'log'), 'second line\n')
    assert.equal(await reader.read(buffer), 0)
    await reader.close()
    await reader.close()
  }
  assert.deepEqual(
    warnings.map(({ code, path }) => [code, path]),
    [['changed', `${dir.slice(1)}/log`]],
  )
})

test('a file that vanished is source.not-found, and so is one that became a symlink', async (t) => {
  const dir = scratch(t)
  plant(dir, { a: '', b: '', secret: 'never' })
  const reading = await files({ paths: [dir] }).read({ onWarning: () => undefined })
  for await (const entry of reading.entries()) {
    const name = entry.path.slice(dir.length)
    if (name !== 'a' && name !== 'b') continue
    rmSync(join(dir, name))
    if (name === 'b') symlinkSync('secret', join(dir, 'b'))
    assert.throws(
      () => entry.open?.(),
      (error) => isAppError(error, 'source.not-found'),
    )
  }
})

test('a file that was replaced by a new one is read, with a warning', async (t) => {
  const dir = scratch(t)
  plant(dir, { a: 'old' })
  const warnings: string[] = []
  const reading = await files({ paths: [dir] }).read({ onWarning: ({ code }) => warnings.push(code) })
  for await (const entry of reading.entries()) {
    if (entry.open === undefined) continue
    execFileSync('sh', ['-c', `printf new > ${dir}/b; mv ${dir}/b ${dir}/a`])
    assert.equal((await contentOf(entry)).toString(), 'new')
  }
  assert.deepEqual(warnings, ['changed'])
})

test('a missing root rejects, unless another one is there: then it is a warning', async (t) => {
  const dir = scratch(t)
  plant(dir, { here: '' })
  await assert.rejects(readTree({ paths: [join(dir, 'gone')] }), (error) => isAppError(error, 'source.not-found'))
  const tree = await readTree({ paths: [join(dir, 'gone'), join(dir, 'here')] })
  assert.deepEqual(pathsBelow(tree, dir), ['here'])
  assert.deepEqual(
    tree.warnings.map(({ code }) => code),
    ['unreadable'],
  )
})

test('a root may be a file; a root that is a symlink is stored as one, and said so', async (t) => {
  const dir = scratch(t)
  plant(dir, { 'real/file': 'x' })
  symlinkSync('real', join(dir, 'link'))
  const file = await readTree({ paths: [join(dir, 'real/file')] })
  assert.deepEqual(pathsBelow(file, dir), ['real', 'real/file'])
  const link = await readTree({ paths: [join(dir, 'link/')] })
  assert.deepEqual(pathsBelow(link, dir), ['link'])
  assert.deepEqual(
    link.warnings.map(({ code }) => code),
    ['skipped'],
  )
  const through = await readTree({ paths: [join(dir, 'link/file')] })
  assert.deepEqual(
    pathsBelow(through, dir),
    ['link', 'link/file'],
    'a symlink above a root counts as the folder it leads to',
  )
  assert.equal(through.entries.at(-2)?.kind, 'directory')
})

test('the walk ends on request, and lets timers have their turn', async (t) => {
  const dir = scratch(t)
  plant(dir, Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`f${at}`, ''])))
  const controller = new AbortController()
  const reading = await files({ paths: [dir] }).read({ onWarning: () => undefined, signal: controller.signal })
  await assert.rejects(
    async () => {
      for await (const entry of reading.entries()) if (entry.path.endsWith('f100')) controller.abort()
    },
    (error) => isAppError(error, 'run.cancelled'),
  )
  await reading.close()
})

test('the checks name what is missing', async (t) => {
  const dir = scratch(t)
  lutimesSync(dir, 0, 0)
  const checks = await files({ paths: [dir, join(dir, 'gone')] }).test({})
  assert.deepEqual(
    checks.slice(0, 2).map(({ ok }) => ok),
    [true, false],
  )
  await assert.rejects(files({ paths: [join(dir, 'gone')] }).test({}), (error) => isAppError(error, 'source.not-found'))
})
