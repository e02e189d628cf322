#!/usr/bin/env node
// Restores a Holdfast archive backup without Holdfast: Node.js 22.15 or newer, nothing else.
//   node restore.mjs BACKUP.manifest.json TARGET-FOLDER        (password: variable HOLDFAST_PASSWORD, if encrypted)
//   node restore.mjs --log JOB TARGET-FOLDER [TIME]            the log of a database, for its own tools: RECOVERY.md
// It checks every byte against the hashes of the backup, and never writes outside TARGET-FOLDER.
import crypto from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'

const ofLog = process.argv[2] === '--log'
const [manifestFile, target, until] = process.argv.slice(ofLog ? 3 : 2)
if (!target) throw new Error('usage: node restore.mjs BACKUP.manifest.json TARGET-FOLDER, or --log JOB TARGET-FOLDER')
const vault = path.dirname(new URL(import.meta.url).pathname)
const manifests = new Map()
for (const name of fs.readdirSync(vault, { recursive: true }).filter((n) => n.endsWith('.manifest.json'))) {
  const manifest = JSON.parse(fs.readFileSync(path.join(vault, name), 'utf8'))
  manifests.set(manifest.id, { ...manifest, folder: path.dirname(path.join(vault, name)) })
}
const wanted = ofLog ? {} : { ...JSON.parse(fs.readFileSync(manifestFile, 'utf8')), folder: path.dirname(manifestFile) }
if (!ofLog) manifests.set(wanted.id, wanted)

/** A file made of parts, read at any place. */
function stored({ folder }, parts) {
  const files = parts.map((part) => ({
    fd: fs.openSync(path.join(folder, part.name)),
    size: part.size,
    name: part.name,
  }))
  const size = files.reduce((sum, file) => sum + file.size, 0)
  const read = (start, length) => {
    const out = Buffer.alloc(length)
    let base = 0
    for (const file of files) {
      const from = Math.max(start, base),
        to = Math.min(start + length, base + file.size)
      for (let at = from; at < to;) {
        const got = fs.readSync(file.fd, out, at - start, to - at, at - base)
        if (got === 0) throw new Error(`${file.name} is cut off`)
        at += got
      }
      base += file.size
    }
    return out
  }
  return { size, read }
}

/** AES-256-GCM in segments: "HFE1", header length, header (JSON), segments of ciphertext and 16-byte tag. */
function opened(manifest, parts) {
  const file = stored(manifest, parts)
  if (manifest.encryption.type === 'none') return file
  if (manifest.encryption.type === 'age')
    throw new Error(
      'encrypted with age: first `age -d -o FILE FILE.age` each file and name the results in the manifest',
    )
  const head = file.read(0, 8 + file.read(0, 8).readUInt32LE(4))
  const { kdf, check, salt, segment } = JSON.parse(head.subarray(8))
  const master = masterKey(kdf)
  const proof = crypto.createHmac('sha256', master).update('holdfast key check v1').digest().subarray(0, 16)
  if (!proof.equals(Buffer.from(check, 'base64'))) throw new Error('wrong password or key')
  const key = Buffer.from(crypto.hkdfSync('sha256', master, Buffer.from(salt, 'base64'), 'holdfast stream v1', 32))
  const aad = crypto.createHash('sha256').update(head).digest()
  const count = Math.max(1, Math.ceil((file.size - head.length) / (segment + 16)))
  const open = (number) => {
    const start = head.length + number * (segment + 16)
    const bytes = file.read(start, Math.min(segment + 16, file.size - start))
    const nonce = Buffer.alloc(12)
    nonce.writeUIntBE(number, 5, 6)
    nonce[11] = number === count - 1 ? 1 : 0
    const decipher = crypto.createDecipheriv('aes-256-gcm', key, nonce).setAAD(aad).setAuthTag(bytes.subarray(-16))
    return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()])
  }
  const read = (start, length) => {
    const first = Math.floor(start / segment),
      pieces = []
    for (let n = first; n * segment < start + length; n += 1) pieces.push(open(n))
    return Buffer.concat(pieces).subarray(start - first * segment, start - first * segment + length)
  }
  return { size: file.size - head.length - count * 16, read }
}

const keys = new Map()
function masterKey(kdf) {
  const name = JSON.stringify(kdf)
  if (!keys.has(name)) {
    const secret = process.env.HOLDFAST_PASSWORD
    if (!secret) throw new Error('set HOLDFAST_PASSWORD to the password or key')
    const salt = Buffer.from(kdf.salt ?? '', 'base64')
    if (kdf.type === 'raw')
      keys.set(name, Buffer.from(secret.trim(), /^[0-9a-f]{64}$/i.test(secret.trim()) ? 'hex' : 'base64'))
    else if (kdf.type === 'scrypt')
      keys.set(name, crypto.scryptSync(secret, salt, 32, { N: kdf.N, r: kdf.r, p: kdf.p, maxmem: 256 * kdf.N * kdf.r }))
    else keys.set(name, crypto.pbkdf2Sync(secret, salt, kdf.iterations, 32, 'sha256'))
  }
  return keys.get(name)
}

/** Segments of a log, each once and in order, by the history that they are of. */
function histories(job) {
  const folder = path.join(vault, 'lanes', encodeURIComponent(job))
  const found = new Map()
  for (const file of fs.readdirSync(folder).sort()) {
    const [, name, part = '1', of = '1', suffix = ''] =
      /^(.+?_[be]*)(?:\.(\d+)of(\d+))?\.lane\.zst(\.enc|\.age)?$/.exec(file) ?? []
    if (name === undefined) continue
    const [lineage, from, to, , last] = name.split('_')
    const one = found.get(`${name} ${of}`) ?? { lineage, from, to, last: Number(last), name, of: Number(of), parts: [] }
    one.parts[Number(part) - 1] = { folder, file, type: { '.enc': 'aes', '.age': 'age' }[suffix] ?? 'none' }
    found.set(`${name} ${of}`, one)
  }
  const byLineage = new Map()
  for (const one of found.values())
    if (one.from !== one.to && one.parts.filter(Boolean).length === one.of)
      byLineage.set(one.lineage, [...(byLineage.get(one.lineage) ?? []), one])
  return [...byLineage].map(([lineage, all]) => {
    // From each place the one that leads furthest; what is merged lies beside its parts for a moment.
    const next = new Map()
    for (const one of all)
      if (!(next.get(one.from)?.last >= one.last && next.get(one.from)?.to !== one.from)) next.set(one.from, one)
    const ends = new Set([...next.values()].map(({ to }) => to))
    const chains = [...next.keys()]
      .filter((from) => !ends.has(from))
      .map((from) => {
        const chain = []
        for (let one = next.get(from); one !== undefined; one = next.get(one.to)) chain.push(one)
        return chain
      })
    return { lineage, chains }
  })
}

function segmentOf({ name, parts }) {
  const bytes = Buffer.concat(
    parts.map(({ folder, file, type }) => {
      const size = fs.statSync(path.join(folder, file)).size
      const content = opened({ folder, encryption: { type } }, [{ name: file, size }])
      return zlib.zstdDecompressSync(content.read(0, content.size))
    }),
  )
  const end = 8 + bytes.readUInt32LE(4)
  const head = JSON.parse(bytes.subarray(8, end))
  const payload = bytes.subarray(end)
  if (crypto.createHash('sha256').update(payload).digest('hex') !== head.sha256) throw new Error(`${name} is damaged`)
  return { head, payload }
}

function* recordsOf(payload) {
  for (let at = 0; at < payload.length; at += 5 + payload.readUInt32LE(at + 1))
    yield [String.fromCharCode(payload[at]), payload.subarray(at + 5, at + 5 + payload.readUInt32LE(at + 1))]
}

/** Files of write-ahead log, as restore_command gives them. */
function writeWal(chain, folder) {
  let size = 16 * 1024 ** 2
  const nameOf = (timeline, lsn) =>
    [timeline, lsn >> 32n, (lsn & 0xffffffffn) / BigInt(size)]
      .map((n) => n.toString(16).toUpperCase().padStart(8, '0'))
      .join('')
  for (const one of chain) {
    const { head, payload } = segmentOf(one)
    const [[timeline, lsn], [later, end]] = [head.from, head.to].map((text) => {
      const [line, hex] = text.split('-')
      return [Number(line), BigInt(`0x${hex}`)]
    })
    for (const [name, text] of Object.entries(head.extra))
      if (/^[0-9A-F]{8}\.history$/.test(name)) fs.writeFileSync(path.join(folder, name), text)
    // The first page of a file says how long files are.
    if (lsn % 0x100000n === 0n && payload.length >= 40 && payload.readUInt16LE(2) & 2) size = payload.readUInt32LE(32)
    if (later !== timeline) {
      // The new timeline's file begins with what the old one has.
      const old = path.join(folder, nameOf(timeline, lsn))
      if (end % BigInt(size) !== 0n && fs.existsSync(old)) {
        fs.copyFileSync(old, path.join(folder, nameOf(later, end)))
        fs.truncateSync(path.join(folder, nameOf(later, end)), Number(end % BigInt(size)))
      }
    }
    for (let done = 0; done < payload.length;) {
      const at = lsn + BigInt(done)
      const inside = Number(at % BigInt(size))
      const part = payload.subarray(done, done + size - inside)
      const file = path.join(folder, nameOf(timeline, at))
      const fd = fs.openSync(file, fs.existsSync(file) ? 'r+' : 'w')
      fs.writeSync(fd, part, 0, part.length, inside)
      fs.ftruncateSync(fd, size)
      fs.closeSync(fd)
      done += part.length
    }
  }
}

/** One file, as mariadb-binlog reads it. */
function writeBinlog(chain, folder) {
  const fd = fs.openSync(path.join(folder, 'binlog'), 'w')
  fs.writeSync(fd, Buffer.from([0xfe, 0x62, 0x69, 0x6e]))
  let description
  const describe = (bytes) => {
    if (bytes.length > 0 && !description?.equals(bytes)) fs.writeSync(fd, (description = Buffer.from(bytes)))
  }
  for (const one of chain) {
    const { head, payload } = segmentOf(one)
    if (description === undefined) describe(Buffer.from(head.extra.description ?? '', 'base64'))
    for (const [kind, bytes] of recordsOf(payload))
      if (kind === 'F') describe(bytes)
      else if (kind === 'E') fs.writeSync(fd, bytes)
  }
  fs.closeSync(fd)
}

/** The database itself, as of a time or of the end. */
function writeSqlite(chain, folder, limit) {
  const fd = fs.openSync(path.join(folder, 'database.db'), 'w')
  for (const one of chain)
    for (const [kind, bytes] of recordsOf(segmentOf(one).payload)) {
      if (kind === 'S') {
        const [first, size] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)]
        fs.writeSync(fd, bytes, 12, bytes.length - 12, (first - 1) * size)
        fs.ftruncateSync(fd, bytes.readUInt32LE(8) * size)
      } else {
        if (Number(bytes.readBigUInt64LE(8)) > limit) return fs.closeSync(fd)
        const [pages, size] = [bytes.readUInt32LE(16), bytes.readUInt32LE(20)]
        for (let at = 24; at < bytes.length; at += 4 + size)
          fs.writeSync(fd, bytes, at + 4, size, (bytes.readUInt32LE(at) - 1) * size)
        fs.ftruncateSync(fd, pages * size)
      }
    }
  fs.closeSync(fd)
}

function restoreLog(job) {
  const limit = until === undefined ? Infinity : Date.parse(until)
  for (const { chains } of histories(job))
    for (const chain of chains) {
      const { engine } = segmentOf(chain[0]).head
      if (engine !== 'sqlite' && until !== undefined) throw new Error(`${engine} stops at a time by its own tools`)
      const folder = path.join(target, `${chain[0].lineage}_${chain[0].from}`)
      fs.mkdirSync(folder, { recursive: true })
      if (engine === 'postgres') writeWal(chain, folder)
      else if (engine === 'mysql') writeBinlog(chain, folder)
      else writeSqlite(chain, folder, limit)
      console.log(
        `${folder}: the log from ${chain[0].from} to ${chain.at(-1).to}, known until ${new Date(chain.at(-1).last).toISOString()}`,
      )
    }
}

if (ofLog) {
  restoreLog(manifestFile)
  process.exit()
}

function linesOf(manifest) {
  const file = opened(manifest, [manifest.index])
  return zlib
    .zstdDecompressSync(file.read(0, file.size))
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

/** Reads container bytes of one payload. */
function payload(manifest) {
  const file = opened(manifest, manifest.payload.parts)
  const { type } = manifest.compression
  if (type === 'none') return file.read
  if (type === 'brotli' || type === 'deflate') {
    const all = (type === 'brotli' ? zlib.brotliDecompressSync : zlib.inflateSync)(file.read(0, file.size))
    return (start, length) => all.subarray(start, start + length)
  }
  const frames = linesOf(manifest).flatMap((line) => line.frames ?? [])
  let last = { at: -1 },
    position = { frame: 0, raw: 0, packed: 0 }
  const frameAt = (at) => {
    if (at < position.raw) position = { frame: 0, raw: 0, packed: 0 }
    while (at >= position.raw + frames[position.frame][0]) {
      const [raw, packed] = frames[position.frame]
      position = { frame: position.frame + 1, raw: position.raw + raw, packed: position.packed + packed }
    }
    if (last.at !== position.raw) {
      const bytes = file.read(position.packed, frames[position.frame][1])
      last = { at: position.raw, bytes: type === 'zstd' ? zlib.zstdDecompressSync(bytes) : zlib.gunzipSync(bytes) }
    }
    return last
  }
  return (start, length) => {
    const pieces = []
    for (let at = start; at < start + length;) {
      const frame = frameAt(at)
      const piece = frame.bytes.subarray(at - frame.at, start + length - frame.at)
      pieces.push(piece)
      at += piece.length
    }
    return Buffer.concat(pieces)
  }
}

/** Names are bytes; U+DC80…U+DCFF stand for bytes that are not UTF-8. */
const bytesOf = (name) =>
  Buffer.concat(
    [...name].map((c) =>
      /[\udc80-\udcff]/.test(c) && c.length === 1 ? Buffer.from([c.charCodeAt(0) - 0xdc00]) : Buffer.from(c),
    ),
  )
fs.mkdirSync(target, { recursive: true })
const root = fs.realpathSync(target)
const placeOf = (name) => {
  if (name.split('/').some((part) => part === '' || part === '.' || part === '..'))
    throw new Error(`unsafe name ${name}`)
  const parts = name.split('/')
  for (let n = 1; n < parts.length; n += 1) {
    const folder = Buffer.concat([Buffer.from(`${root}/`), bytesOf(parts.slice(0, n).join('/'))])
    if (fs.lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink())
      throw new Error(`unsafe name ${name}: goes through a link`)
    fs.mkdirSync(folder, { recursive: true })
  }
  return Buffer.concat([Buffer.from(`${root}/`), bytesOf(name)])
}

const [header, ...lines] = linesOf(wanted)
const readers = new Map()
const readerOf = (number) => {
  const manifest = manifests.get(header.payloads[number])
  if (!manifest) throw new Error(`backup ${header.payloads[number]} is missing`)
  if (!readers.has(number)) readers.set(number, payload(manifest))
  return readers.get(number)
}
const STEP = 4 * 1024 * 1024
const failures = []

function restoreFile(entry, place) {
  const fd = fs.openSync(place, 'w', 0o600)
  const hash = crypto.createHash('sha256')
  const extents = entry.e ?? [[0, entry.s]]
  let at = entry.a
  for (const [offset, length] of extents) {
    if (entry.z !== undefined) {
      const content = zlib.inflateRawSync(readerOf(entry.b)(entry.a, entry.z))
      hash.update(content)
      fs.writeSync(fd, content)
      break
    }
    for (let done = 0; done < length; done += STEP) {
      const bytes = readerOf(entry.b)(at, Math.min(STEP, length - done))
      hash.update(bytes)
      fs.writeSync(fd, bytes, 0, bytes.length, offset + done)
      at += bytes.length
    }
  }
  fs.ftruncateSync(fd, entry.s)
  fs.closeSync(fd)
  if (hash.digest('base64').slice(0, 43) !== entry.h) throw new Error('content differs from what was backed up')
}

const entries = lines.filter((line) => line.p !== undefined)
let files = 0
const order = [...entries].sort((a, b) => (a.b ?? -1) - (b.b ?? -1) || (a.a ?? 0) - (b.a ?? 0))
for (const entry of [...order.filter((e) => e.hl === undefined), ...order.filter((e) => e.hl !== undefined)]) {
  try {
    const place = placeOf(entry.p)
    if (entry.k === 'd') {
      fs.mkdirSync(place, { recursive: true })
      continue
    }
    fs.rmSync(place, { force: true })
    if (entry.hl !== undefined) fs.linkSync(placeOf(entry.hl), place)
    else if (entry.k === 'l') fs.symlinkSync(bytesOf(entry.l), place)
    else if (entry.k === 'f') {
      restoreFile(entry, place)
      files += 1
    } else failures.push(`${entry.p}: a device or pipe, not made`)
  } catch (error) {
    failures.push(`${entry.p}: ${error.message}`)
  }
}
// Owners, modes and times last, deepest first, so that nothing disturbs them.
for (const entry of entries.toReversed()) {
  try {
    const place = placeOf(entry.p)
    if (process.getuid() === 0 && entry.u !== undefined) fs.lchownSync(place, entry.u, entry.g)
    if (entry.k !== 'l') fs.chmodSync(place, entry.m)
    fs.lutimesSync(place, entry.t[0] + entry.t[1] / 1e9, entry.t[0] + entry.t[1] / 1e9)
  } catch (error) {
    failures.push(`${entry.p}: ${error.message}`)
  }
}
console.log(`${files} files restored to ${target}`)
for (const failure of failures) console.error(failure)
process.exitCode = failures.length > 0 ? 1 : 0
