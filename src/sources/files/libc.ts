import type { Xattr } from '../../model/entry.ts'
import { pathFromBytes, pathToBytes } from '../../base/paths.ts'

/**
 * What node:fs cannot do, asked of the C library through koffi, an optional dependency. Calls give their result, or
 * `-errno`. Without it a backup has no extended attributes, ACLs and holes, and a restore sets times to the microsecond.
 */
export interface Libc {
  /** The names of the errors that matter, negative as the calls give them. */
  readonly errors: {
    ENOTSUP: number
    ENODATA: number
    ERANGE: number
    ENOENT: number
    EPERM: number
    EACCES: number
    ENXIO: number
  }
  /**
   * All extended attributes of an open file or a path (a symlink's own), or `-errno`. Values that may not be read are
   * left out.
   */
  xattrs(at: number | string | Buffer): Xattr[] | number
  setXattr(path: string | Buffer, attribute: Xattr): number
  removeXattr(path: string | Buffer, name: string): number
  /** lseek(2) with SEEK_DATA or SEEK_HOLE: the next such offset. */
  seek(fd: number, offset: number, what: 'data' | 'hole'): number
  /** Sets the modification time of an open file, or of a path without following it. */
  setTimes(at: number | string | Buffer, s: number, ns: number): number
  /** Makes a device or fifo; `mode` holds the type bits. */
  mknod(path: string | Buffer, mode: number, major: number, minor: number): number
}

const SEEK_DATA = 3
const SEEK_HOLE = 4
const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
const UTIME_OMIT = 0x3ffffffe
const NONE: Xattr[] = []
const LIST_LIMIT = 65_536
/** The kernel takes memory of the size that it is offered: most lists are empty, and few are longer than this. */
const LIST_FIRST = 512
const VALUE_LIMIT = 65_536

type ListXattrs = (at: number | string | Buffer, into: Buffer, size: number) => number
type Touch = (fd: number, times: Buffer) => number
interface HotCalls {
  list: ListXattrs
  listOpen: ListXattrs
  touch: Touch
}

let loading: Promise<Libc | undefined> | undefined

/** Undefined where koffi or a C library that it knows is missing. */
export function loadLibc(): Promise<Libc | undefined> {
  loading ??= load()
  return loading
}

async function load(): Promise<Libc | undefined> {
  if (process.platform !== 'linux') return undefined
  try {
    const { default: koffi } = await import('koffi')
    const lib = koffi.load(null)
    const bind = (definition: string): ((...args: unknown[]) => number) => {
      const call = lib.func(definition) as (...args: unknown[]) => number | bigint
      return (...args) => {
        const result = Number(call(...args))
        return result === -1 ? -koffi.errno() : result
      }
    }
    // The calls that every entry makes: without the wrapper, whose spread arguments cost as much as the system call.
    const list = lib.func('int64_t llistxattr(const char *path, void *list, size_t size)') as ListXattrs
    const listOpen = lib.func('int64_t flistxattr(int fd, void *list, size_t size)') as ListXattrs
    const touch = lib.func('int futimens(int fd, const void *times)') as Touch
    const names = koffi.os.errno
    const error = (name: string): number => -(names[name] ?? 0)
    const hot: HotCalls = {
      list(path, into, size) {
        const count = list(path, into, size)
        return count === -1 ? -koffi.errno() : count
      },
      listOpen(fd, into, size) {
        const count = listOpen(fd, into, size)
        return count === -1 ? -koffi.errno() : count
      },
      touch: (fd, times) => (touch(fd, times) === -1 ? -koffi.errno() : 0),
    }
    return makeLibc(bind, hot, {
      ENOTSUP: error('EOPNOTSUPP'),
      ENODATA: error('ENODATA'),
      ERANGE: error('ERANGE'),
      ENOENT: error('ENOENT'),
      EPERM: error('EPERM'),
      EACCES: error('EACCES'),
      ENXIO: error('ENXIO'),
    })
  } catch {
    return undefined
  }
}

function makeLibc(
  bind: (definition: string) => (...args: unknown[]) => number,
  hot: HotCalls,
  errors: Libc['errors'],
): Libc {
  const llistxattr = bind('int64_t llistxattr(const void *path, void *list, size_t size)')
  const lgetxattr = bind('int64_t lgetxattr(const void *path, const void *name, void *value, size_t size)')
  const fgetxattr = bind('int64_t fgetxattr(int fd, const void *name, void *value, size_t size)')
  const lsetxattr = bind('int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)')
  const lremovexattr = bind('int lremovexattr(const void *path, const void *name)')
  const lseek = bind('int64_t lseek(int fd, int64_t offset, int whence)')
  const utimensat = bind('int utimensat(int dir, const void *path, const void *times, int flags)')
  const mknodCall = bind('int mknod(const void *path, uint32_t mode, uint64_t device)')

  const pathBuffer = Buffer.alloc(4097)
  const list = Buffer.alloc(LIST_LIMIT)
  const value = Buffer.alloc(VALUE_LIMIT)
  // Two timespec of two 64-bit numbers each: access (left as it is), modification.
  const times = Buffer.alloc(32)
  times.writeInt32LE(UTIME_OMIT, 8)

  /** The path with its closing NUL, in memory that the next call uses again. */
  const c = (path: string | Buffer): Buffer => {
    const count = typeof path === 'string' ? pathBuffer.write(path, 0, 4096, 'utf8') : path.copy(pathBuffer, 0, 0, 4096)
    pathBuffer[count] = 0
    return pathBuffer
  }
  /** Lists the names of attributes, each with its NUL, into `list`. */
  const names = (at: number | string | Buffer, size: number): number =>
    typeof at === 'number'
      ? hot.listOpen(at, list, size)
      : typeof at === 'string'
        ? hot.list(at, list, size)
        : llistxattr(c(at), list, size)
  const nameBytes = (name: string): Buffer => Buffer.concat([pathToBytes(name), Buffer.of(0)])

  return {
    errors,
    xattrs(file) {
      let length = names(file, LIST_FIRST)
      if (length === errors.ERANGE) length = names(file, LIST_LIMIT)
      if (length <= 0) return length === 0 ? NONE : length
      const at = typeof file === 'number' ? file : c(file)
      const found: Xattr[] = []
      for (let from = 0; from < length;) {
        const end = list.indexOf(0, from)
        const raw = list.subarray(from, end + 1)
        const count = (typeof at === 'number' ? fgetxattr : lgetxattr)(at, raw, value, VALUE_LIMIT)
        if (count >= 0)
          found.push({ name: pathFromBytes(raw.subarray(0, -1)), value: Buffer.from(value.subarray(0, count)) })
        from = end + 1
      }
      return found
    },
    setXattr: (path, { name, value: bytes }) => lsetxattr(c(path), nameBytes(name), bytes, bytes.length, 0),
    removeXattr: (path, name) => lremovexattr(c(path), nameBytes(name)),
    seek: (fd, offset, what) => lseek(fd, offset, what === 'data' ? SEEK_DATA : SEEK_HOLE),
    setTimes(at, s, ns) {
      // A number of 64 bits in two's complement, by halves: less work than a BigInt.
      times.writeInt32LE(s | 0, 16)
      times.writeInt32LE(Math.floor(s / 2 ** 32), 20)
      times.writeInt32LE(ns, 24)
      return typeof at === 'number' ? hot.touch(at, times) : utimensat(AT_FDCWD, c(at), times, AT_SYMLINK_NOFOLLOW)
    },
    mknod: (path, mode, major, minor) => mknodCall(c(path), mode, deviceNumber(major, minor)),
  }
}

/** gnu_dev_makedev: glibc and musl lay major and minor out alike. */
export function deviceNumber(major: number, minor: number): bigint {
  const [M, m] = [BigInt(major), BigInt(minor)]
  return ((M & 0xfffff000n) << 32n) | ((M & 0xfffn) << 8n) | ((m & 0xffffff00n) << 12n) | (m & 0xffn)
}

export function splitDevice(rdev: bigint): { major: number; minor: number } {
  return {
    major: Number(((rdev >> 32n) & 0xfffff000n) | ((rdev >> 8n) & 0xfffn)),
    minor: Number(((rdev >> 12n) & 0xffffff00n) | (rdev & 0xffn)),
  }
}
