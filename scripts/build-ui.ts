/**
 * The web page: ui/ as hashed files with compressed forms beside them. `npm run build` puts it into dist/ui; a server in a
 * checkout makes ui/dist by itself (`--if-older`) when that is missing or older than its sources.
 */
import {
  chmodSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const root = join(dirname(import.meta.filename), '..')
const ui = join(root, 'ui')

export async function buildUi(target: string): Promise<void> {
  const { build } = await import('vite')
  // Made beside the target and put in its place at once: a server that runs never serves half of it.
  const making = mkdtempSync(join(ui, '.making-'))
  try {
    await build({ configFile: join(ui, 'vite.config.ts'), build: { outDir: making } })
    for (const file of globSync('**/*.{js,css,svg,html}', { cwd: making })) compress(join(making, file))
    chmodSync(making, 0o755)
    rmSync(target, { recursive: true, force: true })
    renameSync(making, target)
  } catch (error) {
    // Another process that made it at the same time made the same.
    if (isOlder(target)) throw error
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
}

function compress(file: string): void {
  const bytes = readFileSync(file)
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }
  writeFileSync(`${file}.br`, brotliCompressSync(bytes, quality))
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }))
}

/** Whether a source of the page is newer than what was built from it. */
export function isOlder(target: string): boolean {
  const built = join(target, 'index.html')
  if (!existsSync(built)) return true
  const since = statSync(built).mtimeMs
  const sources = [
    ...globSync(['src/**/*', 'public/*', 'index.html', 'vite.config.ts', 'tsconfig.json'], { cwd: ui }).map((file) =>
      join(ui, file),
    ),
    join(root, 'src/http/client.ts'),
    join(root, 'package-lock.json'),
  ]
  return sources.some((file) => existsSync(file) && statSync(file).mtimeMs > since)
}

if (import.meta.main) {
  const target = join(ui, 'dist')
  if (!process.argv.includes('--if-older') || isOlder(target)) await buildUi(target)
}
