/** What a job's source says, as configured, as what the source and its connection need. */
import { AppError } from '../../base/errors.ts'
import { isSecret } from '../../model/secret.ts'
import type { Secret } from '../../model/settings.ts'
import type { Source, Target } from '../../model/source.ts'
import { connectS3db } from './connect.ts'
import type { ObjectClient } from './object-client.ts'
import { openClient, s3db, type ClientOpener, type S3dbSettings } from './source.ts'
import { s3dbTarget, type S3dbTargetSettings } from './target.ts'

/** `options` of `S3dbSourceSettings`: checked by the schema when they come from a configuration. */
export function s3dbSource(options: Record<string, unknown>): Source {
  const { resources, exclude, concurrency } = options
  const settings: S3dbSettings = {
    ...(resources !== undefined && { include: texts(resources, 'resources') }),
    ...(exclude !== undefined && { exclude: texts(exclude, 'exclude') }),
    ...(typeof concurrency === 'number' && { concurrency }),
  }
  return s3db(openerOf(options), settings)
}

export function s3dbRestoreTarget(connection: Secret | string | ObjectClient, settings: S3dbTargetSettings): Target {
  const known = typeof connection === 'string' || isSecret(connection)
  return s3dbTarget(known ? connectS3db(connection, { create: true }) : openClient(connection), settings)
}

function openerOf({ url, connectionString = url }: Record<string, unknown>): ClientOpener {
  if (typeof connectionString === 'string' || isSecret(connectionString)) return connectS3db(connectionString)
  throw new AppError('config.invalid', 'an s3db source needs its url', {
    hint: 'Write url: s3://BUCKET/prefix, file:///folder, sqlite:///file.db or http://host:port/bucket.',
  })
}

function texts(value: unknown, key: string): string[] {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value
  throw new AppError('config.invalid', `${key} of an s3db source is no list of names`)
}
