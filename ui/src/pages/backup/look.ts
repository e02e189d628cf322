/** The beginning of a file in a backup, as it can be shown. */
import { api } from '../../app/api.ts'

export type Seen = { kind: 'text'; text: string; cut: boolean } | { kind: 'image'; url: string } | { kind: 'binary' }

const IMAGES: Record<string, string> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  avif: 'image/avif',
}
export const TEXT_SHOWN = 64 * 1024

export interface Looked {
  path: string
  name: string
  size?: number | undefined
}

/** Bytes of a stranger: shown as text or as a picture of a type that cannot run, never as a page. */
export async function look(id: string, vault: string, item: Looked, signal: AbortSignal): Promise<Seen> {
  const response = await api.stream('GET /api/v1/backups/{id}/preview', {
    params: { id },
    query: { vault, path: item.path },
    signal,
  })
  const bytes = new Uint8Array(await response.arrayBuffer())
  const type = IMAGES[item.name.split('.').at(-1)?.toLowerCase() ?? '']
  if (type !== undefined) return { kind: 'image', url: URL.createObjectURL(new Blob([bytes], { type })) }
  const head = bytes.subarray(0, TEXT_SHOWN)
  if (head.includes(0)) return { kind: 'binary' }
  const cut = (item.size ?? 0) > head.length
  const decoded = new TextDecoder().decode(head)
  const strange = decoded.slice(0, 2000).split('\uFFFD').length - 1
  return strange > 20 ? { kind: 'binary' } : { kind: 'text', text: decoded, cut }
}
