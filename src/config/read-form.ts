import type { Env } from './environment.ts'
import type { Fault } from './faults.ts'
import { readConfigFile } from './find.ts'
import { isTree, showPath, type KeyPath, type Tree } from './key-path.ts'
import { positionIn, type Origin } from './layers.ts'
import { isJobFile, translateJobFile } from './legacy-form.ts'
import { formatOf, parseText, type Format } from './parse/parse.ts'

/** A configuration text in the normal form, whichever accepted form it was written in. */
export interface ReadForm {
  tree: Tree
  faults: Fault[]
  /** The text could not be read at all. */
  fatal: boolean
  originOf: (path: KeyPath) => Origin
}

export async function readForm(file: string | undefined, env: Env): Promise<ReadForm> {
  if (file === undefined) return { tree: {}, faults: [], fatal: false, originOf: () => ({ kind: 'default' }) }
  return readFormText(await readConfigFile(file), formatOf(file), file, env)
}

export async function readFormText(text: string, format: Format, file: string, env: Env): Promise<ReadForm> {
  const { tree, positions, faults } = await parseText(text, format)
  const placed = faults.map((fault) => ({ ...fault, file }))
  const originOf = (path: KeyPath): Origin => positionIn(file, positions.find(path))
  if (tree === undefined || tree === null) return { tree: {}, faults: placed, fatal: placed.length > 0, originOf }
  if (!isTree(tree)) {
    const fault = { file, line: 1, column: 1, key: '', message: 'a configuration is a group of keys' }
    return { tree: {}, faults: [...placed, fault], fatal: true, originOf }
  }
  if (!isJobFile(tree)) return { tree, faults: placed, fatal: false, originOf }
  const translated = translateJobFile(tree, env, originOf)
  return {
    tree: translated.tree,
    faults: [...placed, ...translated.faults],
    fatal: translated.faults.length > 0,
    originOf(path) {
      const place = translated.placeOf(path)
      return { ...originOf(place), key: showPath(place) }
    },
  }
}
