/** Tells a call that is sent again from another one. `crypto.randomUUID` is there only over TLS and on this machine. */
export const newKey = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
