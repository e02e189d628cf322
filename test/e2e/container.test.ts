import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chownSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { scratch } from '../support/holdfast.ts'

const root = join(import.meta.dirname, '../..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const have = (command: string): boolean => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0

/** Instructions with their continued lines joined. */
const instructions = read('container/Dockerfile')
  .replaceAll(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => /^[A-Z]+ /.test(line))

test('the image copies what is there, ends as a user without rights, and says how it lives', () => {
  const last = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')))
  for (const line of instructions.filter((one) => /^COPY (?!--from)/.test(one)))
    for (const source of line.split(/\s+/).slice(1, -1)) assert.ok(existsSync(join(root, source)), `${line}: ${source}`)
  assert.deepEqual(
    instructions.filter((line) => line.startsWith('ADD ')),
    [],
  )
  assert.match(last.findLast((line) => line.startsWith('USER ')) ?? '', /^USER [1-9]\d+:[1-9]\d+$/)
  for (const wanted of ['HEALTHCHECK', 'ENTRYPOINT', 'VOLUME', 'STOPSIGNAL'])
    assert.ok(
      last.some((line) => line.startsWith(`${wanted} `)),
      wanted,
    )
  assert.ok(!last.some((line) => /npm|gcc|make\b/.test(line)), 'no build tools in the final stage')
  assert.match(read('container/install.sh'), /useradd --uid 10001/)
  const { dependencies } = JSON.parse(read('container/package.json')) as { dependencies: Record<string, string> }
  const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> }
  for (const [name, version] of Object.entries(dependencies)) assert.equal(version, devDependencies[name], name)
})

test('hadolint finds nothing in the Dockerfile', { skip: have('hadolint') ? false : 'hadolint is not here' }, () => {
  const { status, stdout } = spawnSync('hadolint', [join(root, 'container/Dockerfile')], { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})

test('every variable of the compose file and the CronJob is one that the guide names, and each container is closed', () => {
  const guide = read('docs/guides/container.md')
  const compose = parse(read('container/compose.yaml'), { merge: true }) as {
    services: Record<
      string,
      { image: string; environment?: Record<string, string>; read_only?: boolean; restart?: string }
    >
  }
  const own = Object.entries(compose.services).filter(([, { image }]) => image === 'holdfast')
  assert.ok(own.length >= 4)
  const names = own.flatMap(([, { environment = {} }]) => Object.keys(environment))
  for (const [name, service] of own) {
    assert.equal(service.read_only, true, name)
    assert.equal(service.restart, 'unless-stopped', name)
  }
  const [job] = parseAllDocuments(read('container/kubernetes/cronjob.yaml')).map(
    (document) => document.toJS() as { spec: { jobTemplate: { spec: { template: { spec: Pod } } } } },
  )
  interface Pod {
    containers: { env: { name: string }[]; securityContext: { readOnlyRootFilesystem: boolean } }[]
  }
  const pod = job?.spec.jobTemplate.spec.template.spec
  assert.equal(pod?.containers[0]?.securityContext.readOnlyRootFilesystem, true)
  names.push(...(pod?.containers[0]?.env.map(({ name }) => name) ?? []))
  const unknown = names.filter((name) => {
    const plain = name.replace(/_FILE$/, '')
    const [, tail = ''] = /^(?:POSTGRES|MYSQL)(_\w+)$/.exec(plain) ?? []
    return name !== 'HOLDFAST_CONFIG' && !guide.includes(plain) && !(tail !== '' && guide.includes(`\`${tail}\``))
  })
  assert.deepEqual(unknown, [])
})

test('systemd takes the units', { skip: have('systemd-analyze') ? false : 'systemd is not here' }, () => {
  const units = globSync('container/systemd/*', { cwd: root })
  assert.equal(units.length, 3)
  const { stderr } = spawnSync('systemd-analyze', ['verify', ...units], { cwd: root, encoding: 'utf8' })
  // Other units of this machine are not looked at, nor whether systemd runs here.
  const faults = stderr.split('\n').filter((line) => line.includes('holdfast'))
  assert.deepEqual(faults, [])
})

const alone = process.getuid?.() === 0 && have('unshare') && have('setpriv')

test(
  'the entry point works as a user without rights on a read-only root',
  { skip: alone ? false : 'needs root, unshare and setpriv' },
  (t) => {
    const dir = scratch(t)
    chownSync(dir, 10_001, 10_001)
    for (const name of ['data', 'data/source']) {
      mkdirSync(join(dir, name))
      chownSync(join(dir, name), 10_001, 10_001)
    }
    writeFileSync(join(dir, 'data/source/file'), 'content')
    const script = `
      mount --make-rprivate / && mount --bind "$1/data" "$1/data" && mount -o remount,ro,bind / || exit 77
      shift
      exec setpriv --reuid 10001 --regid 10001 --clear-groups --inh-caps=-all --bounding-set=-all env -i PATH="$PATH" "$@"`
    const data = join(dir, 'data')
    const { status, stdout, stderr } = spawnSync(
      'unshare',
      [
        '--mount',
        'sh',
        '-c',
        script,
        'sh',
        dir,
        'HOLDFAST_MODE=once',
        `HOLDFAST_SERVER__DATA_DIR=${join(data, 'state')}`,
        `TMPDIR=${data}`,
        `BACKUP_PATHS=${join(data, 'source')}`,
        `BACKUP_TARGET=${join(data, 'vault')}`,
        process.execPath,
        '--disable-warning=ExperimentalWarning',
        join(root, 'src/cli/main.ts'),
      ],
      { encoding: 'utf8', cwd: data },
    )
    if (status === 77 || /unshare failed/.test(stderr)) {
      t.skip('this machine lets nobody mount')
      return
    }
    assert.equal(status, 0, stderr)
    assert.match(stdout, /1 files/)
    assert.equal(spawnSync('stat', ['-c', '%u', join(data, 'vault')], { encoding: 'utf8' }).stdout.trim(), '10001')
  },
)
