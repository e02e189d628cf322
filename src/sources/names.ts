/** Names of databases and tables: as patterns choose them, and as folders carry them. */

/** `*` and `?` as in file names. */
export function matches(pattern: string, name: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, 's').test(name)
}

export const matchesAny = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) => matches(pattern, name))

/** A folder for each name; none can be taken for another file or lead elsewhere. */
export const folderName = (name: string): string =>
  name.replaceAll(/[%/.\u0000-\u001f]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)

/** The name that such a folder stands for. */
export const nameOfFolder = (folder: string): string =>
  folder.replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
