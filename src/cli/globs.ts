/** What a user writes to name entries: a path, a name, or a pattern. */
import picomatch from 'picomatch'
import { isUnder } from '../base/paths.ts'

/**
 * A path (`/srv/a`, `srv/a`) matches itself and what is below it; a name or pattern without `/` matches at any depth;
 * a pattern with `/` matches from the root. A match on a folder takes all that is in it.
 */
export function globMatcher(text: string): (path: string) => boolean {
  const clean = text.replace(/^\//, '').replace(/\/$/, '')
  const { isGlob } = picomatch.scan(clean)
  if (!isGlob && clean.includes('/')) return (path) => isUnder(path, clean)
  const anchored = clean.includes('/')
  const matches = picomatch(anchored ? clean : `**/${clean}`, { dot: true, nonegate: true })
  return (path) => {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1))
      if (matches(path.slice(0, end))) return true
    return false
  }
}
