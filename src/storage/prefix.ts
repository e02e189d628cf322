/** What stands before every key in a bucket: '' or ends in `/`, however the settings write it. */
export function rootOf(prefix: string | undefined): string {
  const inner = (prefix ?? '').replace(/^\/+|\/+$/g, '')
  return inner === '' ? '' : `${inner}/`
}

/** For messages: `s3://bucket/prefix`. */
export const bucketName = (scheme: string, bucket: string, root: string): string =>
  `${scheme}://${bucket}${root === '' ? '' : `/${root.slice(0, -1)}`}`
