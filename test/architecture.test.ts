import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'node:test'

const root = join(dirname(import.meta.filename), '..')
const files = globSync('src/**/*.ts', { cwd: root }).filter((file) => !file.endsWith('.test.ts'))

const NOUNS = ['model', 'base']
/** folder → folders that it may import, beside itself. docs/architecture.md explains. */
const MAY_IMPORT: Record<string, string[]> = {
  base: [],
  model: ['base'],
  sources: NOUNS,
  storage: NOUNS,
  repository: NOUNS,
  archive: NOUNS,
  policy: NOUNS,
  catalogue: NOUNS,
  notify: NOUNS,
  config: NOUNS,
  operations: [...NOUNS, 'policy'],
  jobs: [...NOUNS, 'policy'],
  'telling.ts': [...NOUNS, 'notify', 'operations'],
  'app.ts': [
    ...NOUNS,
    'telling.ts',
    'sources',
    'storage',
    'repository',
    'archive',
    'policy',
    'catalogue',
    'notify',
    'config',
    'operations',
    'jobs',
  ],
  service: [...NOUNS, 'app.ts', 'operations', 'jobs'],
  testing: [...NOUNS, 'operations'],
  library: [...NOUNS, 'app.ts', 'operations', 'config'],
  http: [...NOUNS, 'app.ts', 'service', 'policy', 'jobs', 'operations', 'config'],
  's3db-plugin': [...NOUNS, 'app.ts', 'operations', 'sources'],
  cli: [...NOUNS, 'app.ts', 'service', 'policy', 'jobs', 'operations', 'http', 'config'],
  'index.ts': ['*'],
}

/** package → the one folder (or file) that may import it; everything else is free for all. */
const SDK_HOMES: Record<string, string> = {
  '@aws-sdk/': 'src/storage/s3',
  ssh2: 'src/storage/sftp',
  '@azure/': 'src/storage/azure',
  'google-auth-library': 'src/storage/gcs/',
  koffi: 'src/sources/files/',
  croner: 'src/base/cron.ts',
  'node:sqlite': 'src/base/sqlite.ts',
  nodemailer: 'src/notify/',
  's3db.js': 'src/sources/s3db/connect.ts',
  mongodb: 'src/sources/mongodb/',
  pg: 'src/catalogue/postgres/',
  'pg-boss': 'src/jobs/queue-pg-boss.ts',
  commander: 'src/cli/',
  yaml: 'src/config/',
  'smol-toml': 'src/config/',
}

interface Import {
  file: string
  line: number
  specifier: string
  lazy: boolean
  typeOnly: boolean
}

const IMPORT = /^(?:import|export)\s(?:(type)\s)?(?:[^'";]*?\sfrom\s)?'([^']+)'|import\('([^']+)'\)/gm

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(IMPORT)].map((match) => ({
    file,
    line: text.slice(0, match.index).split('\n').length,
    specifier: match[2] ?? match[3] ?? '',
    lazy: match[3] !== undefined,
    typeOnly: match[1] === 'type',
  }))
}

const folderOf = (file: string): string => relative('src', file).split('/')[0] ?? ''
const imports = files.flatMap(importsOf)

test('imports follow the directions of the architecture', () => {
  const wrong = imports.flatMap(({ file, line, specifier }) => {
    if (!specifier.startsWith('.')) return []
    const from = folderOf(file)
    const to = folderOf(normalize(join(dirname(file), specifier)))
    const allowed = MAY_IMPORT[from]
    if (allowed === undefined) return [`${file}: the folder ${from} has no place in the architecture`]
    return from === to || allowed.includes('*') || allowed.includes(to) ? [] : [`${file}:${line} imports ${specifier}`]
  })
  assert.ok(imports.length > 20, 'the test found the imports')
  assert.deepEqual(wrong, [])
})

test('each SDK is imported in its home only, and lazily', () => {
  const wrong = imports.flatMap(({ file, line, specifier, lazy, typeOnly }) => {
    const sdk = Object.keys(SDK_HOMES).find(
      (name) => specifier === name || specifier.startsWith(name.endsWith('/') ? name : `${name}/`),
    )
    if (sdk === undefined) return []
    if (!file.startsWith(SDK_HOMES[sdk] ?? ''))
      return [`${file}:${line} imports ${specifier}, whose home is ${SDK_HOMES[sdk]}`]
    const mustBeLazy = !['croner', 'node:sqlite', 'commander', 'yaml', 'smol-toml'].includes(sdk)
    return mustBeLazy && !lazy && !typeOnly ? [`${file}:${line} imports ${specifier} at start`] : []
  })
  assert.deepEqual(wrong, [])
})

test('what every command loads has no engine, no files source and no schema in it', () => {
  const commands = ['backup', 'list', 'restore', 'check', 'prune'].map((name) => `src/cli/commands/${name}.ts`)
  const work = ['run-jobs', 'restore', 'check-lanes', 'prune'].map((name) => `src/operations/${name}.ts`)
  const reached = new Set(['src/cli/run.ts', 'src/app.ts', ...commands, ...work])
  const packages = new Set<string>()
  for (const from of reached)
    for (const { file, specifier, lazy, typeOnly } of imports) {
      if (file !== from || lazy || typeOnly) continue
      if (specifier.startsWith('.')) reached.add(normalize(join(dirname(file), specifier)))
      else if (!specifier.startsWith('node:')) packages.add(specifier)
    }
  // Each of these costs some milliseconds, zod a hundred. Names alone cost nothing.
  const heavy = [...reached].filter((file) => /^src\/(?:archive|repository|sources\/files)\//.test(file))
  assert.deepEqual(heavy.sort(), ['src/archive/names.ts', 'src/repository/ids.ts'])
  assert.deepEqual([...packages].sort(), ['commander', 'picomatch'])
})

test('every package that the source imports is a declared dependency', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >
  const declared = new Set(
    Object.keys({ ...manifest['dependencies'], ...manifest['optionalDependencies'], ...manifest['peerDependencies'] }),
  )
  const undeclared = imports.filter(({ specifier, typeOnly }) => {
    if (typeOnly || specifier.startsWith('.') || specifier.startsWith('node:') || builtinModules.includes(specifier))
      return false
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/')
    return !declared.has(name)
  })
  assert.deepEqual(undeclared, [])
})

test('dependencies are pinned to exact versions', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >
  const all = Object.entries({
    ...manifest['dependencies'],
    ...manifest['devDependencies'],
    ...manifest['optionalDependencies'],
  })
  assert.deepEqual(
    all.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version)),
    [],
  )
})
