/**
 * Draws docs/images/first-backup.svg: runs real commands on a pseudo-terminal (util-linux `script`) in a scratch folder
 * and turns what they print, colours included, into a picture for the README.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const root = join(dirname(import.meta.filename), '..')
const COMMANDS = [
  './holdfast backup documents --to ./vault',
  'echo "one more line" >> documents/letter.txt && ./holdfast backup documents --to ./vault --verify V3',
  './holdfast list --vault ./vault',
  './holdfast verify latest --vault ./vault --level V4',
]
const COLOURS: Record<string, string> = {
  '31': '#ff7b72',
  '32': '#3fb950',
  '33': '#d29922',
  '34': '#79c0ff',
  '1': '#ffffff',
  '2': '#8b949e',
}
const [CHAR, LINE, PAD] = [8.4, 19, 18]

const home = mkdtempSync(join(tmpdir(), 'capture-'))
const work = join(home, 'me')
mkdirSync(join(work, 'documents/photos'), { recursive: true })
writeFileSync(join(work, 'documents/letter.txt'), 'Dear all,\n'.repeat(2000))
for (let n = 0; n < 40; n += 1)
  writeFileSync(join(work, `documents/photos/${n}.raw`), Buffer.alloc(400_000, `photo ${n}`))
symlinkSync(join(root, 'holdfast'), join(work, 'holdfast'))

const env = {
  PATH: process.env['PATH'] ?? '',
  HOME: work,
  TERM: 'xterm-256color',
  HOLDFAST_PASSWORD: 'correct horse battery staple',
}
const lines: string[] = []
for (const command of COMMANDS) {
  lines.push(`\u001B[32m$\u001B[39m \u001B[1m${command}\u001B[22m`)
  const out = execFileSync('script', ['-qec', command, '/dev/null'], { cwd: work, env, encoding: 'utf8' })
  lines.push(
    ...out
      .replaceAll('\r\n', '\n')
      .replaceAll(/[^\n]*\r\u001B\[K/g, '')
      .trimEnd()
      .replaceAll(work, '~')
      .split('\n'),
    '',
  )
}
rmSync(home, { recursive: true, force: true })

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** One line of ANSI text as spans. */
function spans(line: string): { svg: string; width: number } {
  let style = ''
  let width = 0
  let svg = ''
  for (const part of line.split(/(\u001B\[\d+m)/)) {
    const code = /\u001B\[(\d+)m/.exec(part)?.[1]
    if (code !== undefined)
      style = COLOURS[code] === undefined ? '' : ` fill="${COLOURS[code]}"${code === '1' ? ' font-weight="bold"' : ''}`
    else if (part !== '') {
      svg += `<tspan${style}>${escape(part)}</tspan>`
      width += part.length
    }
  }
  return { svg, width }
}

const drawn = lines.slice(0, -1).map((line) => spans(line))
const width = Math.ceil(Math.max(...drawn.map((line) => line.width)) * CHAR + 2 * PAD)
const height = drawn.length * LINE + 2 * PAD
const texts = drawn.map(
  ({ svg }, row) => `<text x="${PAD}" y="${PAD + 14 + row * LINE}" xml:space="preserve">${svg}</text>`,
)
mkdirSync(join(root, 'docs/images'), { recursive: true })
writeFileSync(
  join(root, 'docs/images/first-backup.svg'),
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" fill="#c9d1d9"><rect width="100%" height="100%" rx="8" fill="#0d1117"/>${texts.join('')}</svg>\n`,
)
