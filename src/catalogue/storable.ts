/** As every database stores it: PostgreSQL holds no NUL, neither of them half a character, also not within JSON. */
export function storable(text: string): string {
  return text
    .toWellFormed()
    .replaceAll('\0', '\uFFFD')
    .replaceAll(/\\u(?:0000|d[89a-f][0-9a-f]{2})/gi, String.raw`\ufffd`)
}
