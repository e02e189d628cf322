/** `npm run build:wasm`: wasm/engine.ts as src/repository/engine.wasm, which is committed; another place as an argument. */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'

const root = join(dirname(import.meta.filename), '..')
const target = process.argv[2] ?? join(root, 'src/repository/engine.wasm')

const options = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--initialMemory', '1', '--noExportMemory']
// What lies below is the chunker's tables.
options.push('--memoryBase', '8192')
const compiler = join(root, 'node_modules/assemblyscript/bin/asc.js')
// The source is named relative to the folder, so that the result does not depend on where the checkout is.
const built = spawnSync(process.execPath, [compiler, 'wasm/engine.ts', '-o', target, ...options], {
  cwd: root,
  stdio: 'inherit',
})
process.exit(built.status ?? 1)
