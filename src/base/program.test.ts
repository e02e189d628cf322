import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startProgram } from './program.ts'
import { streamOfReader } from './reader.ts'

test('what a program wrote before it ended is read whole, however slowly', async () => {
  const running = startProgram({ program: 'head', args: ['-c', '150000', '/dev/zero'] })
  running.stdin.end()
  let bytes = 0
  for await (const chunk of streamOfReader(running.stdout, 1000)) {
    bytes += chunk.length
    if (bytes < 20_000) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  assert.equal(bytes, 150_000)
})
