/** `npm run build:wasm`: what is in wasm/, as src/repository/NAME.wasm, which are committed; another folder as an argument. */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'

const root = join(dirname(import.meta.filename), '..')
const target = process.argv[2] ?? join(root, 'src/repository')

const options = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--initialMemory', '1', '--noExportMemory']
const modules: [name: string, options: string[]][] = [
  // What lies below is the chunker's tables.
  ['engine', ['--memoryBase', '8192']],
  ['scrypt', ['--enable', 'simd']],
]
const compiler = join(root, 'node_modules/assemblyscript/bin/asc.js')
for (const [name, own] of modules) {
  // The source is named relative to the folder, so that the result does not depend on where the checkout is.
  const words = [compiler, `wasm/${name}.ts`, '-o', join(target, `${name}.wasm`), ...options, ...own]
  const built = spawnSync(process.execPath, words, { cwd: root, stdio: 'inherit' })
  if (built.status !== 0) process.exit(built.status ?? 1)
}
