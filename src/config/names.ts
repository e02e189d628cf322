import { isTree, nearest, type KeyPath, type Tree } from './key-path.ts'

/** Names in jobs that refer to no vault or notifier; works on trees that are not valid yet, so that all faults show. */
export function checkNames(tree: Tree, fault: (path: KeyPath, message: string, suggestion?: string) => void): void {
  const vaults = keysOf(tree['vaults'])
  const notifiers = keysOf(tree['notify'])
  for (const [name, job] of isTree(tree['jobs']) ? Object.entries(tree['jobs']) : []) {
    if (!isTree(job)) continue
    const at = ['jobs', name]
    const group = job['vaults']
    check(
      isTree(group) ? group['members'] : group,
      [...at, 'vaults', ...(isTree(group) ? ['members'] : [])],
      'vault',
      vaults,
    )
    check(job['notify'], [...at, 'notify'], 'notifier', notifiers)
  }

  function check(names: unknown, path: KeyPath, kind: string, known: string[]): void {
    const places: [unknown, KeyPath][] = Array.isArray(names)
      ? names.map((name, index) => [name, [...path, index]])
      : typeof names === 'string'
        ? names.split(',').map((name) => [name.trim(), path])
        : []
    for (const [name, place] of places) {
      if (typeof name !== 'string' || known.includes(name)) continue
      fault(place, `there is no ${kind} ${JSON.stringify(name)}`, nearest(name, known))
    }
  }
}

const keysOf = (value: unknown): string[] => (isTree(value) ? Object.keys(value) : [])
