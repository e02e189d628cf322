import type { Fault } from './faults.ts'
import { isTree, nearest, showPath, valueAt, type KeyPath, type Tree } from './key-path.ts'
import { Merged, type Layer, type Origin } from './layers.ts'
import { hasReference } from './references.ts'
import { configSchema } from './schema.ts'
import { validateConfig } from './validate.ts'
import { secretNames } from './walk.ts'

/** The layers of a chosen profile, those that it extends first. */
export function profileLayers(
  name: string,
  profiles: unknown,
  base: string,
  originOf: (path: KeyPath) => Origin,
): { layers: Layer[]; faults: Fault[] } {
  const known = isTree(profiles) ? profiles : {}
  const layers: Layer[] = []
  const faults: Fault[] = []
  const fault = (path: KeyPath, message: string, suggestion?: string) => {
    const { file, line, column } = originOf(path)
    faults.push({ file, line, column, key: showPath(path), message, suggestion })
  }
  const add = (wanted: string, at: KeyPath, above: string[]): void => {
    const profile = Object.hasOwn(known, wanted) ? known[wanted] : undefined
    if (above.includes(wanted)) return fault(at, `extends itself: ${[...above, wanted].join(' → ')}`)
    if (!isTree(profile)) {
      return fault(at, `there is no profile ${JSON.stringify(wanted)}`, nearest(wanted, Object.keys(known)))
    }
    const path = ['profiles', wanted]
    const { extends: parents, ...tree } = profile
    for (const parent of Array.isArray(parents) ? parents : parents === undefined ? [] : [parents]) {
      if (typeof parent === 'string') add(parent, [...path, 'extends'], [...above, wanted])
      else fault([...path, 'extends'], 'must be the name of a profile, or a list of names')
    }
    if ('profiles' in tree) fault([...path, 'profiles'], 'a profile cannot hold profiles')
    layers.push(profileLayer(wanted, tree, base, originOf))
  }
  add(name, ['profiles'], [])
  return { layers, faults }
}

function profileLayer(name: string, tree: Tree, base: string, originOf: (path: KeyPath) => Origin): Layer {
  return {
    tree,
    base,
    originOf: (path) => ({ ...originOf(['profiles', name, ...path]), kind: 'profile', name }),
  }
}

/** Profiles that were not chosen are checked too, so that a fault in them does not wait for the day they are. */
export function checkProfiles(
  tree: Tree,
  chosen: string | undefined,
  base: string,
  originOf: (path: KeyPath) => Origin,
): Fault[] {
  const secrets = secretNames([configSchema])
  const names = isTree(tree['profiles']) ? Object.keys(tree['profiles']) : []
  return names
    .filter((name) => name !== chosen)
    .flatMap((name) => {
      const { layers, faults } = profileLayers(name, tree['profiles'], base, originOf)
      const merged = new Merged(secrets)
      for (const layer of [{ tree, base, originOf }, ...layers]) merged.add(layer)
      const { findings } = validateConfig({ ...merged.tree, profiles: undefined }, (path) => merged.nearestOrigin(path))
      const own = findings.filter(({ path, origin }) => {
        const value = valueAt(merged.tree, path)
        return origin.kind === 'profile' && !(typeof value === 'string' && hasReference(value))
      })
      return [...faults, ...own.map(({ fault }) => fault)]
    })
}
