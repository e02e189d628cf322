/**
 * What is used of a client of s3db.js: objects under keys, with metadata. Stated here by shape, so that nothing of s3db.js
 * is needed to compile or to import this; `db.client` of any s3db database fits, and so does a client of one's own.
 */
export interface ObjectClient {
  readonly config?: ClientConfig
  listObjects(options: {
    prefix?: string
    maxKeys?: number
    continuationToken?: string | null
  }): Promise<ListObjectsPage>
  getObject(key: string): Promise<FetchedObject>
  putObject(object: PutObject): Promise<unknown>
  headObject?(key: string): Promise<{ ContentLength?: number; LastModified?: Date | string }>
  deleteObject(key: string): Promise<unknown>
  destroy?(): unknown
  readonly connectionString?: string
}

export interface ClientConfig {
  bucket?: string
  keyPrefix?: string
  /** `memory://…`, `file://…`, `sqlite://…`, or the address of a server. */
  endpoint?: string
  region?: string
  basePath?: string
  accessKeyId?: string
  secretAccessKey?: string
  sessionToken?: string
  forcePathStyle?: boolean
}

export interface ListObjectsPage {
  Contents?: { Key?: string; Size?: number; LastModified?: Date | string }[]
  IsTruncated?: boolean
  NextContinuationToken?: string | null
}

export interface FetchedObject {
  Metadata?: Record<string, unknown>
  ContentType?: string
  ContentEncoding?: string
  ContentLength?: number
  Body?: unknown
}

export interface PutObject {
  key: string
  metadata?: Record<string, unknown>
  contentType?: string
  contentEncoding?: string
  body?: Buffer
  contentLength?: number
}

/** Where the objects of a client lie, which decides how they are listed and when a change can hide. */
export type ClientKind = 'memory' | 'file' | 'sqlite' | 'network'

export function kindOf({ config }: ObjectClient): ClientKind {
  const { endpoint = '', region } = config ?? {}
  if (endpoint.startsWith('memory:')) return 'memory'
  if (endpoint.startsWith('file:')) return 'file'
  return endpoint.startsWith('sqlite') || region === 'sqlite' ? 'sqlite' : 'network'
}

/** For people: names the place and no secret. */
export function nameOf(client: ObjectClient): string {
  const { bucket = 's3db', keyPrefix = '', endpoint = '', basePath } = client.config ?? {}
  const kind = kindOf(client)
  if (kind === 'file' && basePath !== undefined) return `file://${basePath}`
  if (kind === 'sqlite') return endpoint === '' ? 'sqlite' : endpoint
  return `${kind === 'memory' ? 'memory' : 's3'}://${bucket}${keyPrefix === '' ? '' : `/${keyPrefix}`}`
}
