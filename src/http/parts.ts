/** Parts of the configuration as the API shows and changes them. */
import { AppError } from '../base/errors.ts'
import { SECTION_OF } from '../config/added-parts.ts'
import { faultsOfPart, hideSecrets, partsOfFile, unhideSecrets, yamlOf, type Parts } from '../config/definitions.ts'
import type { Tree } from '../config/key-path.ts'
import type { DefinitionKind } from '../model/server-store.ts'
import type { Api } from './handler.ts'
import { refuseMetadata } from './metadata-addresses.ts'

type World = Pick<Api, 'app' | 'raw'>

export interface Part {
  /** As written, secrets and all. */
  body: Tree
  managed: boolean
  id: string
  /** Absent for what the file manages. */
  version?: number
  createdAt?: Date
  updatedAt?: Date
}

const NOUN: Record<DefinitionKind, string> = { vault: 'vault', job: 'job', notifier: 'notifier' }

export function partOf({ app, raw }: World, kind: DefinitionKind, name: string): Part | undefined {
  const section = SECTION_OF[kind]
  if (app.isManaged(section, name)) {
    // Made by the environment or the legacy form: known to the settings, and in no file as such.
    return { body: partsOfFile(raw)[section][name] ?? {}, managed: true, id: name }
  }
  const found = app.history().server.definitions.get(kind, name)
  if (found === undefined) return undefined
  const { body, id, version, createdAt, updatedAt } = found
  return { body, managed: false, id, version, createdAt, updatedAt }
}

export function partNamed(api: World, kind: DefinitionKind, name: string): Part {
  const part = partOf(api, kind, name)
  if (part !== undefined) return part
  if (kind === 'job') throw new AppError('job.not-found', `there is no job ${name}`)
  if (kind === 'vault') throw new AppError('vault.not-found', `there is no vault ${name}`)
  throw new AppError('request.not-found', `there is no ${NOUN[kind]} ${name}`)
}

const etagOfPart = ({ managed, id, version = 0 }: Part): string => `"${managed ? 'file' : id}-${version}"`

export async function shownPart(
  kind: DefinitionKind,
  name: string,
  { body }: Pick<Part, 'body'>,
): Promise<{ definition: Tree; yaml: string }> {
  const definition = hideSecrets(SECTION_OF[kind], body)
  return { definition, yaml: await yamlOf(SECTION_OF[kind], name, definition) }
}

/** All that the API made. */
export function addedParts({ app }: World): Parts {
  const parts: Parts = { vaults: {}, jobs: {}, notify: {} }
  for (const part of app.history().server.definitions.list())
    if ('body' in part) parts[SECTION_OF[part.kind]][part.name] = part.body
  return parts
}

export interface Change {
  kind: DefinitionKind
  name: string
  body: Tree
  /** Of what it changes; absent: it is new. */
  ifMatch?: string | undefined
  isNew: boolean
}

/** All faults at once; then stored, and taken up here. */
export async function savePart(api: World, { kind, name, body, ifMatch, isNew }: Change): Promise<void> {
  const { definitions } = api.app.history().server
  const section = SECTION_OF[kind]
  const before = partOf(api, kind, name)
  if (before?.managed === true)
    throw new AppError('request.managed', `the ${NOUN[kind]} ${name} comes from the configuration file`)
  if (isNew && before !== undefined) throw new AppError('request.exists', `there is a ${NOUN[kind]} ${name}`)
  if (!isNew && before === undefined) partNamed(api, kind, name)
  if (!isNew && before !== undefined && ifMatch !== undefined && ifMatch !== '*' && ifMatch !== etagOfPart(before))
    throw new AppError('request.changed', `the ${NOUN[kind]} ${name} is no longer what it was when you read it`)
  const whole = before === undefined ? body : unhideSecrets(body, before.body)
  await refuseMetadata(whole)
  await refuseFaults(api, kind, name, whole)
  if (!definitions.save(kind, name, whole, before?.version))
    throw isNew
      ? new AppError('request.exists', `there is a ${NOUN[kind]} ${name}`)
      : new AppError('request.changed', `the ${NOUN[kind]} ${name} was changed just now`)
  await api.app.refresh()
  if (section in api.app.settings && !(name in api.app.settings[section]))
    throw new AppError('config.invalid', `the ${NOUN[kind]} ${name} was stored and cannot be used: see the log`)
}

interface Asked {
  headers: Record<string, string | string[]>
  audit: (detail: Record<string, unknown>, object?: string) => void
}

/** A new part, by a call that brings its name and definition. */
export async function createPart(
  api: World,
  kind: DefinitionKind,
  { body, headers, audit }: Asked & { body: { name: string; definition: Tree } },
): Promise<void> {
  audit({}, body.name)
  await savePart(api, { kind, name: body.name, body: body.definition, isNew: true })
  tagPart(api, kind, body.name, headers)
}

/** Another definition of a part, by a call that says which version it changes. */
export async function changePart(
  api: World,
  kind: DefinitionKind,
  {
    params,
    body,
    ifMatch,
    headers,
  }: Omit<Asked, 'audit'> & {
    params: { name: string }
    body: { definition: Tree }
    ifMatch: string | undefined
  },
): Promise<void> {
  await savePart(api, { kind, name: params.name, body: body.definition, ifMatch, isNew: false })
  tagPart(api, kind, params.name, headers)
}

/** The version that a change has to name. */
export function tagPart(api: World, kind: DefinitionKind, name: string, headers: Asked['headers']): void {
  headers['etag'] = etagOfPart(partNamed(api, kind, name))
}

export async function faultsOf(api: World, kind: DefinitionKind, name: string, body: Tree) {
  const found = await faultsOfPart(SECTION_OF[kind], name, body, addedParts(api), api.app.parts)
  return found.map(({ key, message, suggestion }) => ({
    key,
    message: suggestion === undefined ? message : `${message}; did you mean ${JSON.stringify(suggestion)}?`,
  }))
}

async function refuseFaults(api: World, kind: DefinitionKind, name: string, body: Tree): Promise<void> {
  const faults = await faultsOf(api, kind, name, body)
  const [first] = faults
  if (first === undefined) return
  throw new AppError('config.invalid', `${first.key === '' ? '' : `${first.key}: `}${first.message}`, {
    hint: 'Correct what is named; nothing was changed.',
    details: { faults },
  })
}

export async function removePart(api: World, kind: DefinitionKind, name: string): Promise<void> {
  const part = partNamed(api, kind, name)
  if (part.managed) throw new AppError('request.managed', `the ${NOUN[kind]} ${name} comes from the configuration file`)
  const { jobs } = api.app.settings
  const users = Object.values(jobs).filter(
    (job) =>
      (kind === 'vault' && job.vaults.includes(name)) || (kind === 'notifier' && namesNotifier(api, job.name, name)),
  )
  if (users.length > 0)
    throw new AppError('request.in-use', `${users.map((job) => job.name).join(', ')} uses the ${NOUN[kind]} ${name}`)
  api.app.history().server.definitions.remove(kind, name)
  await api.app.refresh()
}

/** Jobs that hear of everything only lose one of many. */
function namesNotifier(api: World, job: string, notifier: string): boolean {
  const named = partOf(api, 'job', job)?.body['notify']
  return Array.isArray(named) && named.includes(notifier)
}
