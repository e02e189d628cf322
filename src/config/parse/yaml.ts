import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Node, type YAMLParseError } from 'yaml'
import type { Fault } from '../faults.ts'
import type { KeyPath } from '../key-path.ts'
import { Positions, type Parsed } from './parsed.ts'

/** YAML 1.2 with merge keys. One document; anchors cannot be used to fill the memory. */
export function parseYaml(text: string): Parsed {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true, version: '1.2' })
  const positions = new Positions()
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  const faults = document.errors.map((error): Fault => ({ ...at(error.pos[0]), key: '', message: describe(error) }))
  if (faults.length > 0) return { tree: undefined, positions, faults }

  const visit = (node: Node | null, path: KeyPath): void => {
    if (isMap(node)) {
      for (const { key, value } of node.items) {
        if (!isScalar(key)) continue
        const inner = [...path, String(key.value)]
        if (key.range) positions.set(inner, at(key.range[0]))
        visit(isNode(value) ? value : null, inner)
      }
    } else if (isSeq(node)) {
      node.items.forEach((item, index) => {
        if (!isNode(item)) return
        if (item.range) positions.set([...path, index], at(item.range[0]))
        visit(item, [...path, index])
      })
    }
  }
  visit(document.contents, [])
  try {
    return { tree: document.toJS({ maxAliasCount: 100 }) as unknown, positions, faults }
  } catch {
    return { tree: undefined, positions, faults: [{ key: '', message: 'has an alias without an anchor, or too many' }] }
  }
}

/** In our words: those of the parser can quote the text, which may hold secrets. */
function describe(error: YAMLParseError): string {
  const known: Record<string, string> = {
    BAD_INDENT: 'the indentation is wrong here',
    BLOCK_AS_IMPLICIT_KEY: 'a key and its value must be on one line here; is a quote or an indentation missing?',
    BLOCK_IN_FLOW: 'a list or group of several lines cannot stand between brackets',
    DUPLICATE_KEY: 'this key is there twice',
    IMPOSSIBLE: 'cannot be read',
    MISSING_CHAR: 'a colon, comma, quote or bracket is missing',
    MULTILINE_IMPLICIT_KEY: 'a key must be on one line; is a quote or a colon missing?',
    MULTIPLE_ANCHORS: 'has more than one anchor',
    MULTIPLE_DOCS: 'holds several documents; one is expected',
    TAB_AS_INDENT: 'is indented by a tab; use spaces',
    TAG_RESOLVE_FAILED: 'has a tag that is not known',
    UNEXPECTED_TOKEN: 'something unexpected stands here; put a text with special characters in quotes',
    BAD_ALIAS: 'has an alias that is not known',
    BAD_SCALAR_START: 'a text that begins with this character must be in quotes',
    BAD_DQ_ESCAPE: 'has a wrong escape in double quotes; use single quotes',
  }
  return known[error.code] ?? 'is not valid YAML here'
}
