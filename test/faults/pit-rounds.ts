/** The tests of points in time again and again, each time with other moments. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { join } from 'node:path'

export async function pitRounds(rounds: number, say: (text: string) => void): Promise<void> {
  const root = join(import.meta.dirname, '../..')
  const files = globSync('test/e2e/pit-*.test.ts', { cwd: root })
  for (let round = 1; round <= rounds; round += 1) {
    const seed = Math.floor(Math.random() * 1e9)
    const child = spawn(process.execPath, ['--test', '--test-concurrency=1', ...files], {
      cwd: root,
      env: { ...process.env, PIT_SEED: String(seed) },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.on('data', (text: Buffer) => (said += text.toString()))
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0) throw new Error(`round ${round} with PIT_SEED=${seed}:\n${said}`)
    say(`round ${round} of ${rounds}: good (seed ${seed})`)
  }
}
