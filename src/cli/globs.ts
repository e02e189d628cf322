/** What a user writes to name entries: a path, a name, or a pattern. */
import picomatch from 'picomatch'

/**
 * A path (`/srv/a`, `srv/a`) matches itself and what is below it; a name or pattern without `/` matches at any depth;
 * a pattern with `/` matches from the root. A match on a folder takes all that is in it.
 */
export function globMatcher(text: string): (path: string) => boolean {
  const matches = itemMatcher(text)
  return (path) => {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1))
      if (matches(path.slice(0, end))) return true
    return false
  }
}

/** The same for the item alone: what is in a folder that matches is not meant, unless it matches itself. */
export function itemMatcher(text: string): (path: string) => boolean {
  const clean = text.replace(/^\//, '').replace(/\/$/, '')
  const { isGlob } = picomatch.scan(clean)
  const anchored = clean.includes('/')
  if (!isGlob && anchored) return (path) => path === clean
  return picomatch(anchored ? clean : `**/${clean}`, { dot: true, nonegate: true })
}
