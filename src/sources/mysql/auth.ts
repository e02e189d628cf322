/** What the authentication plugins of MySQL and MariaDB want of a client that knows a password. */
import { constants, createHash, publicEncrypt } from 'node:crypto'
import { AppError } from '../../base/errors.ts'
import { signEd25519 } from './ed25519.ts'

const hash = (name: string, ...parts: Uint8Array[]): Buffer => {
  const sum = createHash(name)
  for (const part of parts) sum.update(part)
  return sum.digest()
}

const xor = (a: Buffer, b: Uint8Array): Buffer => Buffer.from(a.map((byte, at) => byte ^ (b[at % b.length] ?? 0)))

/** The first answer of a plugin; `secure`: nobody can listen, so a plain password may be sent. */
export function answerOf(plugin: string, password: string, nonce: Buffer, secure: boolean): Buffer {
  const bytes = Buffer.from(password)
  switch (plugin) {
    case 'mysql_native_password': {
      if (password === '') return Buffer.alloc(0)
      const once = hash('sha1', bytes)
      return xor(once, hash('sha1', nonce.subarray(0, 20), hash('sha1', once)))
    }
    case 'caching_sha2_password': {
      if (password === '') return Buffer.alloc(0)
      const once = hash('sha256', bytes)
      return xor(once, hash('sha256', hash('sha256', once), nonce.subarray(0, 20)))
    }
    case 'client_ed25519':
      return signEd25519(bytes, nonce)
    // The system tells the server who we are.
    case 'unix_socket':
    case 'auth_socket':
      return Buffer.alloc(0)
    case 'mysql_clear_password':
      if (secure) return Buffer.from(`${password}\0`)
      throw new AppError(
        'source.denied',
        'the server asks for the password in clear text on a connection without TLS',
        {
          hint: 'Set tls: verify-full, or connect by a socket.',
        },
      )
    default:
      throw new AppError('source.unsupported', `the server wants to authenticate this user by ${plugin}`, {
        hint: 'Make a user for backups that logs in by password: mysql_native_password, caching_sha2_password or ed25519.',
      })
  }
}

/** `caching_sha2_password` when the server does not know the password's hash yet, without TLS: encrypted to its RSA key. */
export function sealed(password: string, nonce: Buffer, publicKey: string): Buffer {
  return publicEncrypt(
    { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING },
    xor(Buffer.from(`${password}\0`), nonce.subarray(0, 20)),
  )
}
