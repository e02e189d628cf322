import { createSecretKey } from 'node:crypto'
import type { Client } from 'ssh2'

/** Where ssh2 keeps the key of each direction, when it encrypts by Node's own functions. */
const PLACES = [
  ['_cipher', '_encKey'],
  ['_decipher', '_decipherKey'],
] as const

/**
 * ssh2 makes a cipher for each packet. Node prepares a key that is given as bytes anew each time, which costs more than to
 * encrypt a packet: so it is given one that is prepared. Exchanged keys are met again. Where ssh2 looks otherwise inside,
 * nothing is changed.
 */
export function prepareKeys(client: Client): void {
  client.on('handshake', () => {
    const protocol: unknown = Reflect.get(client, '_protocol')
    for (const [direction, name] of PLACES) {
      const holder: unknown = typeof protocol === 'object' && protocol ? Reflect.get(protocol, direction) : undefined
      if (typeof holder !== 'object' || holder === null) continue
      const key: unknown = Reflect.get(holder, name)
      if (Buffer.isBuffer(key)) Reflect.set(holder, name, createSecretKey(key))
    }
  })
}
