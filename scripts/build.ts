/** `npm run build`: the sources as JavaScript and declarations in dist/, with the files that they read at run time. */
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, globSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { buildUi } from './build-ui.ts'

const root = join(dirname(import.meta.filename), '..')
const dist = join(root, 'dist')

rmSync(dist, { recursive: true, force: true })
const tsc = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
if (tsc.status !== 0) process.exit(1)

const assets = globSync(['**/*.sql', '**/*.wasm', 'archive/recovery/*'], { cwd: join(root, 'src') })
if (assets.length === 0) throw new Error('no assets were found')
for (const asset of assets) {
  mkdirSync(dirname(join(dist, asset)), { recursive: true })
  copyFileSync(join(root, 'src', asset), join(dist, asset))
}
chmodSync(join(dist, 'cli/main.js'), 0o755)
await buildUi(join(dist, 'ui'))
