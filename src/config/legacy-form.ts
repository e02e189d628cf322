import type { Env } from './environment.ts'
import { unique, type Fault } from './faults.ts'
import { Group, Translation, type Taken } from './job-file/group.ts'
import { translateReport } from './job-file/report.ts'
import { Vaults } from './job-file/storage.ts'
import { isTree, type KeyPath, type Tree } from './key-path.ts'
import type { Origin } from './layers.ts'

/**
 * The job file: JSON or TOML with a bucket, a list of local files with a count of backups to keep, the path of a
 * report and the recipients of mail. It is translated into the normal form, and then checked like any other.
 * docs/guides/configuration.md lists every name that is accepted.
 */
export function isJobFile(tree: Tree): boolean {
  if (tree['vaults'] !== undefined) return false
  const jobs = tree['jobs']
  if (Array.isArray(jobs) || ['s3', 'reporting', 'errorRecipients', 'reportPath'].some((key) => key in tree))
    return true
  return isTree(jobs) && Object.values(jobs).some((job) => isTree(job) && !isTree(job['source']))
}

export interface TranslatedJobFile {
  tree: Tree
  faults: Fault[]
  /** Where in the job file a place of the normal form was said. */
  placeOf: (path: KeyPath) => KeyPath
}

export function translateJobFile(tree: Tree, env: Env, originOf: (path: KeyPath) => Origin): TranslatedJobFile {
  const translation = new Translation(originOf)
  const top = new Group(tree, [], translation)
  top.move(['$schema'], '$schema')
  top.move(['version'], 'version')
  const vaults = new Vaults(top, translation, env)
  const retentionCount = top.take('retentionCount')
  for (const [name, job] of jobsOf(top.take('jobs'), translation)) {
    const vault = vaults.nameFor(job)
    translateJob(name, job, vault, retentionCount, translation)
  }
  vaults.end()
  translateReport(top, translation, env)
  translateLog(top, translation)
  for (const key of ['server', 'notify', 'profiles']) top.move([key], key)
  top.end()
  return { tree: translation.tree, faults: unique(translation.faults), placeOf: (path) => translation.placeOf(path) }
}

function jobsOf(jobs: Taken | undefined, translation: Translation): [string, Group][] {
  if (jobs === undefined) {
    translation.fault(['jobs'], 'is missing')
    return []
  }
  const all: [unknown, KeyPath, string | undefined][] = Array.isArray(jobs.value)
    ? jobs.value.map((job, index) => [job, [...jobs.path, index], undefined])
    : isTree(jobs.value)
      ? Object.entries(jobs.value).map(([name, job]) => [job, [...jobs.path, name], name])
      : []
  if (all.length === 0) translation.fault(jobs.path, 'must be a list of jobs')
  const names = new Set<string>()
  return all.flatMap(([job, path, key]): [string, Group][] => {
    if (!isTree(job)) {
      translation.fault(path, 'must be a group of keys')
      return []
    }
    const group = new Group(job, path, translation)
    const named = group.take('name', 'id')
    const name = key ?? named?.value
    if (typeof name !== 'string' || name === '') {
      translation.fault(named?.path ?? path, 'a job needs a name')
      return []
    }
    if (names.has(name)) translation.fault(named?.path ?? path, 'another job has this name')
    names.add(name)
    return [[name, group]]
  })
}

const CRON: Record<string, string> = {
  hourly: '0 * * * *',
  daily: '0 3 * * *',
  weekly: '0 3 * * 0',
  monthly: '0 3 1 * *',
}

function translateJob(
  name: string,
  job: Group,
  vault: string,
  retentionCount: Taken | undefined,
  translation: Translation,
): void {
  const at = ['jobs', name]
  translation.place(at, job.path)
  translation.put([...at, 'vaults'], [vault], job.path)
  translateSource(job, [...at, 'source'], translation)
  job.move([...at, 'enabled'], 'enabled')
  job.move([...at, 'description'], 'description')
  job.move([...at, 'tags'], 'tags')
  job.move([...at, 'notify'], 'notify')
  const retention = job.take('retention')
  const policy = job.group('policy')
  const count = job.take('retentionCount', 'keep') ?? policy?.take('retentionCount', 'keep')
  if (isTree(retention?.value)) translation.put([...at, 'retention'], retention.value, retention.path)
  const kept = count ?? (isTree(retention?.value) ? undefined : (retention ?? retentionCount))
  if (kept !== undefined) translation.put([...at, 'retention', 'last'], kept.value, kept.path)
  const schedule = job.take('schedule', 'cron', 'frequency') ?? policy?.take('frequency', 'schedule')
  // `on-change-only` is how every job works: what did not change is not stored again.
  if (schedule !== undefined && schedule.value !== 'on-change-only') {
    const cron = typeof schedule.value === 'string' ? (CRON[schedule.value] ?? schedule.value) : schedule.value
    translation.put([...at, 'schedule'], cron, schedule.path)
  }
  policy?.end()
  job.end()
}

function translateSource(job: Group, at: KeyPath, translation: Translation): void {
  const taken = job.take('source', 'path', 'paths', 'file', 'files', 'sourcePath', 'localPath')
  job.move([...at, 'exclude'], 'exclude')
  job.move([...at, 'include'], 'include')
  if (taken === undefined) {
    translation.fault(job.path, 'a job needs a path: the file or folder that is backed up')
    return
  }
  if (isTree(taken.value) && taken.value['type'] !== undefined) return translation.put(at, taken.value, taken.path)
  translation.put([...at, 'type'], 'files', taken.path)
  if (isTree(taken.value)) {
    const source = new Group(taken.value, taken.path, translation)
    const path = source.take('path', 'paths', 'file', 'files')
    if (path === undefined) translation.fault(taken.path, 'needs a path')
    else translation.put([...at, 'paths'], Array.isArray(path.value) ? path.value : [path.value], path.path)
    source.move([...at, 'exclude'], 'exclude')
    source.end()
    return
  }
  translation.put([...at, 'paths'], Array.isArray(taken.value) ? taken.value : [taken.value], taken.path)
}

function translateLog(top: Group, translation: Translation): void {
  const taken = top.take('log', 'logging', 'logs')
  top.move(['log', 'level'], 'logLevel')
  if (taken === undefined) return
  if (typeof taken.value === 'string') return translation.put(['log', 'file'], taken.value, taken.path)
  if (!isTree(taken.value)) return translation.fault(taken.path, 'must be a group of keys')
  const log = new Group(taken.value, taken.path, translation)
  log.move(['log', 'level'], 'level')
  log.move(['log', 'file'], 'file', 'path', 'filename')
  for (const key of ['maxSize', 'maxFiles', 'maxAge']) log.move(['log', key], key)
  log.end()
}
