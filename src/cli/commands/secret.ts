import { text as readAll } from 'node:stream/consumers'
import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import type { BoxKey, Kdf } from '../../config/secret-box.ts'
import type { Context } from '../context.ts'
import { promptHidden } from '../prompt.ts'

interface KeyFlags {
  passphraseFile?: string
  keyFile?: string
  kdf?: string
}

export function register(program: Command, context: Context): void {
  const secret = program.command('secret').description('secrets inside the configuration')
  secret
    .command('encrypt')
    .description('turn a secret, from stdin or a prompt, into a value for the configuration')
    .option('--passphrase-file <file>', 'the passphrase (also HOLDFAST_SECRET_PASSPHRASE)')
    .option('--key-file <file>', 'a file of random bytes as the key')
    .option('--kdf <kdf>', 'argon2id or scrypt', 'argon2id')
    .action(async (flags: KeyFlags) => {
      const { encryptSecret } = await import('../../config/secret-box.ts')
      const key = await keyOf(context, flags)
      const plain = process.stdin.isTTY
        ? await promptHidden('Secret: ')
        : (await readAll(process.stdin)).replace(/\r?\n$/, '')
      if (plain === '') throw new AppError('usage.invalid', 'the secret is empty')
      const value = encryptSecret(plain, { ...key, kdf: kdfOf(flags) })
      context.out.result({ value }, () => value)
    })
  secret
    .command('rekey')
    .description('encrypt all secrets of a configuration file anew, in place')
    .argument('<file>')
    .option('--passphrase-file <file>', 'the passphrase until now (also HOLDFAST_SECRET_PASSPHRASE)')
    .option('--key-file <file>', 'the key file until now')
    .option('--new-passphrase-file <file>', 'the new passphrase (also HOLDFAST_NEW_SECRET_PASSPHRASE)')
    .option('--new-key-file <file>', 'the new key file')
    .option('--kdf <kdf>', 'argon2id or scrypt', 'argon2id')
    .action(async (file: string, flags: KeyFlags & { newPassphraseFile?: string; newKeyFile?: string }) => {
      const { rekeyFile } = await import('../../config/rekey.ts')
      const from = await keyOf(context, flags)
      const { newPassphraseFile, newKeyFile } = flags
      const passphrase = context.env['HOLDFAST_NEW_SECRET_PASSPHRASE']
      const to =
        passphrase && newPassphraseFile === undefined && newKeyFile === undefined
          ? { passphrase }
          : await keyOf(
              context,
              {
                ...(newPassphraseFile && { passphraseFile: newPassphraseFile }),
                ...(newKeyFile && { keyFile: newKeyFile }),
              },
              'New passphrase: ',
            )
      const { values } = await rekeyFile(file, from, { ...to, kdf: kdfOf(flags) })
      context.out.result({ file, values }, () => `${values} secrets of ${file} have the new key`)
    })
}

function kdfOf({ kdf = 'argon2id' }: KeyFlags): Kdf {
  if (kdf === 'argon2id' || kdf === 'scrypt') return kdf
  throw new AppError('usage.invalid', `--kdf ${kdf} is neither argon2id nor scrypt`)
}

async function keyOf({ env }: Context, { passphraseFile, keyFile }: KeyFlags, question?: string): Promise<BoxKey> {
  const { boxKey, readKeyFile, readSecretFile } = await import('../../config/references.ts')
  const base = process.cwd()
  if (keyFile !== undefined) return { keyFile: await readKeyFile(keyFile) }
  if (passphraseFile !== undefined) return { passphrase: await readSecretFile(passphraseFile, { env, base }) }
  const known = ['HOLDFAST_SECRET_PASSPHRASE', 'HOLDFAST_SECRET_PASSPHRASE_FILE', 'HOLDFAST_SECRET_KEY_FILE'].some(
    (name) => env[name],
  )
  if ((known && question === undefined) || !process.stdin.isTTY) return boxKey({ env, base })
  return { passphrase: await promptHidden(question ?? 'Passphrase: ') }
}
