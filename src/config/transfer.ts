import { basename } from 'node:path'
import { envNameOf, type Env } from './environment.ts'
import { faultsError, type Fault } from './faults.ts'
import { readConfigFile } from './find.ts'
import { isTree, showPath, type KeyPath, type Tree } from './key-path.ts'
import type { LoadedConfig } from './load.ts'
import { checkNames } from './names.ts'
import { formatOf, type Format } from './parse/parse.ts'
import { checkProfiles } from './profiles.ts'
import { readFormText } from './read-form.ts'
import { hasReference } from './references.ts'
import { configSchema } from './schema.ts'
import { encryptSecret, type BoxKey, type Kdf } from './secret-box.ts'
import { validateConfig } from './validate.ts'
import { hasTrait, mapTexts } from './walk.ts'

export interface TransferOptions {
  format?: Format
  /** Write secrets that stand in the file as `enc:` values; else as references to variables that have to be set. */
  encrypt?: BoxKey & { kdf?: Kdf }
}

export interface Transferred {
  text: string
  /** Secrets that were replaced by a reference, and the variable that has to hold each. */
  placeholders: { key: string; variable: string }[]
}

/** The effective configuration in the normal form, without defaults. No secret is in it as plain text. */
export function exportConfig(loaded: LoadedConfig, options: TransferOptions = {}): Promise<Transferred> {
  return transfer(loaded.raw, options)
}

/** Any accepted form as the normal form; references, relative paths and profiles stay as they are. */
export async function importConfig(file: string, env: Env, options: TransferOptions = {}): Promise<Transferred> {
  return importText(await readConfigFile(file), formatOf(file), env, { ...options, name: basename(file) })
}

export async function importText(
  text: string,
  from: Format,
  env: Env,
  options: TransferOptions & { name?: string } = {},
): Promise<Transferred> {
  const { tree, faults, originOf } = await readFormText(text, from, options.name ?? 'input', env)
  const all: Fault[] = [...faults]
  if (faults.length === 0) {
    const { findings } = validateConfig(tree, originOf)
    // What a reference stands for is not looked at: it may be known on another machine only.
    all.push(...findings.filter(({ path }) => !isReference(tree, path)).map(({ fault }) => fault))
    checkNames(tree, (path, message, suggestion) => {
      const { file, line, column } = originOf(path)
      all.push({ file, line, column, key: showPath(path), message, suggestion })
    })
    all.push(...checkProfiles(tree, undefined, '/', originOf))
  }
  if (all.length > 0) throw faultsError(all)
  return transfer(tree, options)
}

function isReference(tree: Tree, path: KeyPath): boolean {
  const value = path.reduce<unknown>(
    (inner, part) =>
      isTree(inner) || Array.isArray(inner) ? (inner as Record<string | number, unknown>)[part] : undefined,
    tree,
  )
  return typeof value === 'string' && hasReference(value)
}

async function transfer(tree: Tree, options: TransferOptions): Promise<Transferred> {
  const placeholders: Transferred['placeholders'] = []
  const conceal = (prefix: KeyPath) => (text: string, schemas: Parameters<typeof hasTrait>[0], path: KeyPath) => {
    if (hasReference(text) || !(hasTrait(schemas, 'secret') || hasUrlPassword(text))) return text
    if (options.encrypt !== undefined) return encryptSecret(text, options.encrypt)
    // The variable that overrides the key: it works whether or not the placeholder is kept.
    const variable = envNameOf([...prefix, ...path])
    placeholders.push({ key: showPath([...prefix, ...path]), variable })
    return `\${env:${variable}}`
  }
  const { profiles, ...rest } = tree
  const clean = mapTexts(rest, [configSchema], [], conceal([])) as Tree
  if (isTree(profiles)) {
    clean['profiles'] = Object.fromEntries(
      Object.entries(profiles).map(([name, profile]) => [
        name,
        mapTexts(profile, [configSchema], [], conceal(['profiles', name])),
      ]),
    )
  }
  return { text: await renderConfig({ version: 1, ...clean }, options.format ?? 'yaml'), placeholders }
}

const hasUrlPassword = (text: string): boolean => /:\/\/[^\s/?#:@]*:[^\s/?#]+@/.test(text)

export async function renderConfig(tree: Tree, format: Format): Promise<string> {
  if (format === 'json') return `${JSON.stringify(tree, undefined, 2)}\n`
  if (format === 'toml') return (await import('smol-toml')).stringify(tree)
  return yamlText(tree)
}

/** Control characters that YAML does not take as they are; the library writes them so. */
const CONTROL = /[\u007f-\u0084\u0086-\u009f]/g

export async function yamlText(tree: Tree): Promise<string> {
  const { stringify } = await import('yaml')
  const text = stringify(tree, { lineWidth: 0 })
  if (text.search(CONTROL) < 0) return text
  const quoted = stringify(tree, { lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'QUOTE_DOUBLE' })
  return quoted.replaceAll(CONTROL, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
