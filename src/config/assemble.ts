import { join } from 'node:path'
import { environmentLayer, type Env } from './environment.ts'
import { environmentJob, hasEnvironmentJob } from './environment-job.ts'
import { faultsError, type Fault } from './faults.ts'
import { isReadableByOthers, readDotEnv, type DotEnv } from './find.ts'
import { isTree, showPath, type KeyPath, type Tree } from './key-path.ts'
import { Merged, type Layer, type Origin } from './layers.ts'
import type { LoadedConfig, LoadOptions } from './load.ts'
import { checkNames } from './names.ts'
import { checkProfiles, profileLayers } from './profiles.ts'
import { readForm, type ReadForm } from './read-form.ts'
import { absoluteText, resolveTree } from './resolve.ts'
import { configSchema } from './schema.ts'
import { toSettings } from './settings.ts'
import { keyOf, validateConfig } from './validate.ts'
import { mapTexts, secretNames } from './walk.ts'

export interface AssembleOptions extends LoadOptions {
  file: string | undefined
  /** The folder of the configuration file, or the working directory. */
  base: string
  dataDir: string | undefined
}

/** The slow part of loadConfig: everything that needs the schema. */
export async function assemble(options: AssembleOptions): Promise<LoadedConfig> {
  const { file, base, parseStorageUrl } = options
  const dotenv = file === undefined ? undefined : await readDotEnv(file)
  const env: Env = { ...dotenv?.values, ...options.env }
  const profile = options.profile ?? (env['HOLDFAST_PROFILE'] || undefined)
  const form = await readForm(file, env)
  if (form.fatal) throw faultsError(form.faults)

  const faults: Fault[] = [...form.faults]
  const stack = layersOf(form, { ...options, profile }, env, dotenv)
  faults.push(...stack.faults)
  const { merged } = stack
  const resolved = await resolveTree(merged, configSchema, { env, base, parseStorageUrl })
  faults.push(...resolved.faults)
  const at = (path: KeyPath): Origin => merged.nearestOrigin(path)
  const { config, findings } = validateConfig(resolved.tree, at)
  // A value whose reference failed is missing only because of that.
  const named = new Set(faults.map((fault) => fault.key))
  faults.push(...findings.map((finding) => finding.fault).filter((fault) => !named.has(fault.key)))
  faults.push(...checkProfiles(form.tree, profile, base, form.originOf))

  const fault = (path: KeyPath, message: string, suggestion?: string) => {
    const origin = at(path)
    const { file, line, column } = origin
    faults.push({ file, line, column, key: keyOf(origin, path), message, suggestion })
  }
  checkNames(resolved.tree, fault)
  const dataDir = options.dataDir ?? join(base, 'data')
  if (config === undefined || faults.length > 0) throw faultsError(faults)
  const settings = toSettings(config, { dataDir, parseStorageUrl })

  const raw = withAbsolutePaths(merged, env, base)
  const literal = resolved.secrets.filter((one) => one.literal && one.inFile).map((one) => one.key)
  return {
    settings,
    files: [file, dotenv?.file].filter((one) => one !== undefined),
    profile,
    origins: originsOf(raw, merged),
    raw,
    normal: { ...config, profiles: undefined },
    env,
    warnings: await readable(file, literal),
  }
}

function layersOf(
  form: ReadForm,
  options: AssembleOptions,
  env: Env,
  dotenv: DotEnv | undefined,
): { merged: Merged; faults: Fault[] } {
  const { base, profile, flags = {}, file } = options
  const faults: Fault[] = []
  const merged = new Merged(secretNames([configSchema]))
  if (file !== undefined) merged.add({ tree: form.tree, base, originOf: form.originOf })
  if (profile !== undefined) {
    const chosen = profileLayers(profile, form.tree['profiles'], base, form.originOf)
    for (const layer of chosen.layers) merged.add(layer)
    faults.push(...chosen.faults)
  }
  if (file === undefined && hasEnvironmentJob(env)) {
    const job = environmentJob(env, options.cwd)
    merged.add(job.layer)
    faults.push(...job.faults)
  }
  const fromDotEnv = (name: string): Partial<Origin> =>
    dotenv !== undefined && options.env[name] === undefined ? { file: dotenv.file, line: dotenv.lineOf(name) } : {}
  const environment = environmentLayer(env, configSchema, merged.tree, options.cwd, fromDotEnv)
  merged.add(environment.layer)
  faults.push(...environment.faults)
  merged.add(flagLayer(flags, options.cwd))
  return { merged, faults }
}

function flagLayer(flags: Record<string, unknown>, base: string): Layer {
  const tree: Tree = {}
  for (const [key, value] of Object.entries(flags)) {
    if (value === undefined) continue
    const parts = key.split('.')
    let into = tree
    for (const part of parts.slice(0, -1)) {
      const next = into[part]
      const inner: Tree = isTree(next) ? next : {}
      into[part] = inner
      into = inner
    }
    into[parts.at(-1) ?? ''] = value
  }
  return { tree, base, originOf: (path) => ({ kind: 'flag', name: showPath(path) }) }
}

/** As written, but fit to be read from anywhere; without the profiles, which are merged already. */
function withAbsolutePaths(merged: Merged, env: Env, base: string): Tree {
  const { profiles: _, ...tree } = merged.tree
  const absolute = mapTexts(tree, [configSchema], [], (text, schemas, path) =>
    absoluteText(text, schemas, { env, base: merged.ownerOf(path)?.base ?? base }),
  )
  return absolute as Tree
}

function originsOf(tree: Tree, merged: Merged): Map<string, Origin> {
  const origins = new Map<string, Origin>()
  const visit = (value: unknown, path: KeyPath): void => {
    if (isTree(value)) for (const [key, item] of Object.entries(value)) visit(item, [...path, key])
    else origins.set(showPath(path), merged.originOf(path))
  }
  visit(tree, [])
  return origins
}

async function readable(file: string | undefined, literal: string[]): Promise<string[]> {
  if (file === undefined || literal.length === 0 || !(await isReadableByOthers(file))) return []
  return [`${file} holds secrets (${literal.join(', ')}) and others may read it: chmod 600 ${file}`]
}
