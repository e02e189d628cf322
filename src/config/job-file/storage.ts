import type { Env } from '../environment.ts'
import { isTree } from '../key-path.ts'
import { Group, type Translation } from './group.ts'

/** Where jobs without a place of their own go. */
export const MAIN_VAULT = 's3'

/** One vault for the bucket, and one more for each prefix or address that a job names. */
export class Vaults {
  readonly #made = new Map<string, string>()
  readonly #translation: Translation
  readonly #env: Env
  readonly #top: Group
  readonly #s3: Group | undefined

  constructor(top: Group, translation: Translation, env: Env) {
    this.#top = top
    this.#translation = translation
    this.#env = env
    this.#s3 = top.group('s3', 'aws', 'storage')
  }

  /** The name of the vault for a job, made when it is first asked for. */
  nameFor(job: Group): string {
    const prefix = job.take('s3KeyPrefix', 's3Prefix', 'keyPrefix', 'prefix', 'destination', 'key')
    const bucket = job.take('bucket')
    const storageClass = job.take('storageClass')
    const [to, own, kept] = [prefix?.value, bucket?.value, storageClass?.value].map((value) => value ?? '')
    const identity = JSON.stringify([to, own, kept])
    const known = this.#made.get(identity)
    if (known !== undefined) return known
    const plain = [MAIN_VAULT, own, to, kept]
      .filter((part) => typeof part === 'string' && part !== '')
      .map(slug)
      .join('-')
    const taken = [...this.#made.values()]
    const name = taken.includes(plain) ? `${plain}-${taken.length + 1}` : plain
    this.#made.set(identity, name)
    this.#make(name)
    const at = ['vaults', name, 'storage']
    if (typeof to === 'string' && /^[a-z][a-z0-9]*:|^[/.~]/i.test(to)) {
      this.#translation.put(at, to, prefix?.path ?? job.path)
      return name
    }
    if (prefix !== undefined) this.#translation.put([...at, 'prefix'], this.#joined(to), prefix.path)
    if (bucket !== undefined) this.#translation.put([...at, 'bucket'], own, bucket.path)
    if (storageClass !== undefined) this.#translation.put([...at, 'storageClass'], kept, storageClass.path)
    return name
  }

  end(): void {
    this.#s3?.end()
    this.#takeEncryption(undefined)
  }

  #joined(prefix: unknown): unknown {
    const above = this.#s3?.take('prefix', 'keyPrefix')?.value
    if (typeof above !== 'string' || typeof prefix !== 'string' || above === '') return prefix
    return `${above.replace(/\/$/, '')}/${prefix.replace(/^\//, '')}`
  }

  #make(name: string): void {
    const at = ['vaults', name, 'storage']
    const s3 = this.#s3 ?? new Group({}, [], this.#translation)
    const from = s3.path.length === 0 ? ['jobs'] : s3.path
    this.#translation.place(at, from)
    this.#translation.put(['vaults', name, 'format'], 'archive', from)
    this.#translation.put([...at, 'type'], 's3', from)
    if (!s3.move([...at, 'bucket'], 'bucket', 'bucketName')) this.#fromEnv([...at, 'bucket'], 'S3_BUCKET')
    s3.move([...at, 'prefix'], 'prefix', 'keyPrefix')
    if (!s3.move([...at, 'region'], 'region')) this.#fromEnv([...at, 'region'], 'S3_REGION', 'AWS_REGION')
    if (!s3.move([...at, 'endpoint'], 'endpoint', 'endpointUrl')) {
      this.#fromEnv([...at, 'endpoint'], 'S3_ENDPOINT', 'AWS_S3_ENDPOINT', 'AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL')
    }
    s3.move([...at, 'forcePathStyle'], 'forcePathStyle', 'pathStyle')
    s3.move([...at, 'storageClass'], 'storageClass')
    s3.move([...at, 'serverSideEncryption'], 'serverSideEncryption')
    s3.move([...at, 'kmsKeyId'], 'kmsKeyId')
    this.#credentials(s3, at)
    this.#takeEncryption(name)
  }

  #credentials(s3: Group, at: string[]): void {
    const nested = s3.group('credentials')
    const keys = [s3, ...(nested === undefined ? [] : [nested])].map((group) => [
      group.moveSecret([...at, 'accessKeyId'], 'accessKeyId', 'accessKey'),
      group.moveSecret([...at, 'secretAccessKey'], 'secretAccessKey', 'secretKey'),
      group.moveSecret([...at, 'sessionToken'], 'sessionToken'),
    ])
    nested?.end()
    if (keys.flat().includes(true) || !this.#env['AWS_ACCESS_KEY_ID']) return
    this.#fromEnv([...at, 'accessKeyId'], 'AWS_ACCESS_KEY_ID')
    this.#fromEnv([...at, 'secretAccessKey'], 'AWS_SECRET_ACCESS_KEY')
    this.#fromEnv([...at, 'sessionToken'], 'AWS_SESSION_TOKEN')
  }

  /** A job file is always encrypted, unless it says `"encryption": false`: a missing key is refused when it is used. */
  #takeEncryption(vault: string | undefined): void {
    const taken = this.#top.take('encryption', 'encrypt')
    const key = this.#top.take('encryptionKey')
    if (vault === undefined) return
    const at = ['vaults', vault, 'encryption']
    const from = taken?.path ?? key?.path ?? ['jobs']
    if (taken?.value === false || taken?.value === 'none') return this.#translation.put(at, 'none', from)
    this.#translation.place(at, from)
    this.#translation.put([...at, 'type'], 'aes-256-gcm', from)
    if (key !== undefined)
      return this.#translation.put([...at, isRawKey(key.value) ? 'key' : 'password'], key.value, from)
    if (typeof taken?.value === 'string') return this.#translation.put([...at, 'password'], taken.value, from)
    if (isTree(taken?.value) && this.#encryptionGroup(new Group(taken.value, taken.path, this.#translation), at)) return
    const numbered = `KEY_${(this.#env['PRIMARY_KEY'] ?? 'V1').toUpperCase()}`
    if (this.#env[numbered]) this.#fromEnv([...at, 'key'], numbered)
    else this.#fromEnv([...at, 'password'], 'BACKUP_ENCRYPTION_KEY', 'ENCRYPTION_KEY', 'HOLDFAST_PASSWORD')
  }

  #encryptionGroup(group: Group, at: string[]): boolean {
    const algorithm = group.take('algorithm', 'type', 'cipher')
    const name = typeof algorithm?.value === 'string' ? algorithm.value.toLowerCase() : algorithm?.value
    if (algorithm !== undefined) this.#translation.put([...at, 'type'], name, algorithm.path)
    const enabled = group.take('enabled')
    if (enabled?.value === false) this.#translation.put([...at, 'type'], 'none', enabled.path)
    let given = group.moveSecret([...at, 'password'], 'password', 'passphrase')
    given = group.moveSecret([...at, 'key'], 'key', 'encryptionKey') || given
    given = group.move([...at, 'recipients'], 'recipients') || given
    const primary = group.take('primaryKey', 'primary')
    const keys = group.take('keys')
    if (keys !== undefined) {
      const all = isTree(keys.value) ? keys.value : {}
      const chosen = typeof primary?.value === 'string' ? primary.value : (Object.keys(all)[0] ?? '')
      if (all[chosen] === undefined)
        this.#translation.fault(primary?.path ?? keys.path, 'names a key that is not among the keys')
      this.#translation.put([...at, 'key'], all[chosen], [...keys.path, chosen])
      given = true
    }
    group.end()
    return given || enabled?.value === false || name === 'none'
  }

  #fromEnv(to: string[], ...names: string[]): void {
    const name = names.find((one) => this.#env[one])
    if (name !== undefined) this.#translation.put(to, `\${env:${name}}`, ['s3'])
  }
}

const isRawKey = (value: unknown): boolean => typeof value === 'string' && /^[\da-f]{64}$/i.test(value)

const slug = (part: unknown): string =>
  String(part)
    .replaceAll(/[^\w.]+/g, '-')
    .replaceAll(/^[-.]+|[-.]+$/g, '')
