/** What labels of backups hold: see `labels` of SourceReading. They come from a vault, so from outside. */

/** Records by resource, table or the like, from the label `resources`; empty where it says nothing of the kind. */
export function recordCounts(label: string | undefined): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const [name, count] of Object.entries(parsedLabel(label))) if (typeof count === 'number') counts[name] = count
  return counts
}

/** A label that is an object as JSON; empty where it is none. */
export function parsedLabel(text: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
  } catch {
    // Labels of somebody else's making.
    return {}
  }
}
