/** The few answers of WebDAV that we read (RFC 4918, section 14): names without their namespaces, texts, nothing else. */

export interface Element {
  /** Local name, lower case. */
  name: string
  children: Element[]
  text: string
}

const TOKEN = /<!\[CDATA\[([\s\S]*?)\]\]>|<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<(\/?)([^\s<>/]+)([^<>]*?)(\/?)>|([^<]+)/g
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/** Undefined for what is not well-formed enough to be trusted. */
export function parseXml(text: string): Element | undefined {
  const root: Element = { name: '', children: [], text: '' }
  const open = [root]
  for (const [, cdata, slash, tag, , empty, plain] of text.matchAll(TOKEN)) {
    const current = open.at(-1)
    if (current === undefined) return undefined
    if (cdata !== undefined) current.text += cdata
    else if (plain !== undefined) current.text += unescaped(plain)
    else if (tag !== undefined) {
      const name = tag.slice(tag.indexOf(':') + 1).toLowerCase()
      if (slash === '/') {
        if (open.length < 2 || current.name !== name) return undefined
        open.pop()
        continue
      }
      const element: Element = { name, children: [], text: '' }
      current.children.push(element)
      if (empty !== '/') open.push(element)
    }
  }
  return open.length === 1 ? root.children[0] : undefined
}

const unescaped = (text: string): string =>
  text.replaceAll(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) return ENTITIES[name] ?? whole
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })

/** The first element of that name below, at any depth. */
export function find(element: Element, name: string): Element | undefined {
  for (const child of element.children) {
    if (child.name === name) return child
    const below = find(child, name)
    if (below !== undefined) return below
  }
  return undefined
}
