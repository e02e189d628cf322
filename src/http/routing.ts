/** From a method and a path to a route. */
import { routes, type RouteKey } from './contract/index.ts'
import type { Route } from './contract/kit.ts'

export interface Found {
  key: RouteKey
  route: Route
  params: Record<string, string>
}

interface Node {
  fixed: Map<string, Node>
  /** Where any text may stand. */
  any?: { name: string; node: Node }
  methods: Map<string, RouteKey>
}

const newNode = (): Node => ({ fixed: new Map(), methods: new Map() })
const root = newNode()

for (const key of Object.keys(routes) as RouteKey[]) {
  const [method = '', path = ''] = key.split(' ')
  let node = root
  for (const part of path.split('/').slice(1)) {
    const [, name] = /^\{(\w+)\}$/.exec(part) ?? []
    if (name !== undefined) {
      node.any ??= { name, node: newNode() }
      if (node.any.name !== name) throw new Error(`${key}: the same place is called ${node.any.name} elsewhere`)
      node = node.any.node
      continue
    }
    const next = node.fixed.get(part) ?? newNode()
    node.fixed.set(part, next)
    node = next
  }
  node.methods.set(method, key)
}

/** The methods that an address takes, if it takes another one; undefined: no such address. */
export function findRoute(method: string, path: string): Found | { methods: string[] } | undefined {
  const params: Record<string, string> = {}
  let node = root
  for (const part of path.split('/').slice(1)) {
    const next = node.fixed.get(part)
    if (next !== undefined) {
      node = next
      continue
    }
    const value = decoded(part)
    if (node.any === undefined || value === undefined || value === '') return undefined
    params[node.any.name] = value
    node = node.any.node
  }
  if (node.methods.size === 0) return undefined
  const key = node.methods.get(method === 'HEAD' ? 'GET' : method)
  return key === undefined ? { methods: [...node.methods.keys()] } : { key, route: routes[key], params }
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
