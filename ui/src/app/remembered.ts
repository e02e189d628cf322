/** A small text that this browser keeps; where storage is refused it is forgotten with the page. */
export function remembered(name: string): { read(): string | undefined; write(text: string | undefined): void } {
  const key = `holdfast.${name}`
  let here: string | undefined
  return {
    read() {
      try {
        return localStorage.getItem(key) ?? here
      } catch {
        return here
      }
    },
    write(text) {
      here = text
      try {
        if (text === undefined) localStorage.removeItem(key)
        else localStorage.setItem(key, text)
      } catch {
        // Kept in this page only.
      }
    },
  }
}
