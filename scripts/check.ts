/** Formatting, lint (with types) and the type checker; all of them run, all faults are shown. */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'

const root = join(dirname(import.meta.filename), '..')
const bin = (name: string): string => join(root, 'node_modules/.bin', name)

const checks: [string, string[]][] = [
  ['tsc', ['-p', 'tsconfig.json']],
  ['tsc', ['-p', 'ui/tsconfig.json']],
  ['oxlint', ['--type-aware', '--deny-warnings', 'src', 'test', 'scripts', 'bench', 'examples', 'ui']],
  ['oxfmt', ['--check', '.']],
]

let failed = 0
for (const [tool, args] of checks) {
  const result = spawnSync(bin(tool), args, { cwd: root, stdio: 'inherit' })
  if (result.status === 0) continue
  console.error(`${tool} failed${result.error ? `: ${result.error.message}` : ''}`)
  failed += 1
}
process.exit(failed === 0 ? 0 : 1)
