/** The result as Markdown. */
import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import type { Material } from './material.ts'
import type { Figures } from './measure.ts'

export interface Result {
  title: string
  /** Ratios compare with the first row. */
  rows: { name: string; figures: Figures | undefined }[]
}

const firstLine = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: 'utf8' }).split('\n')[0]?.trim() ?? ''

export function describeMachine(folder: string): string {
  const memory = Math.round(totalmem() / 1024 ** 3)
  const versions = [
    `Node ${process.versions.node}`,
    firstLine('tar', '--version'),
    firstLine('zstd', '--version').replaceAll('*', '').trim(),
    firstLine('gzip', '--version'),
  ]
  return [
    `- Machine: ${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${memory} GiB, Linux ${release()}, ${firstLine('stat', '-f', '-c', '%T', folder)}`,
    `- Versions: ${versions.join('; ')}`,
    `- Date: ${new Date().toISOString().slice(0, 10)}`,
    '',
  ].join('\n')
}

export function describeMaterial(used: readonly { label: string; material: Material }[]): string {
  return used
    .map(({ label, material: { files, bytes } }) => `- ${label}: ${grouped(files)} files, ${grouped(bytes)} bytes\n`)
    .join('')
}

export function tableOf(results: readonly Result[], runs: number): string {
  const lines = [
    `Medians of ${runs} ${runs === 1 ? 'run' : 'runs'}; memory is the largest of them, of the largest process.`,
    '',
    '| case | command | time | to the first | processor | memory |',
    '|---|---|--:|--:|--:|--:|',
  ]
  for (const { title, rows } of results) {
    for (const [at, { name, figures }] of rows.entries()) {
      if (figures === undefined) continue
      const first = rows[0]?.figures?.wall ?? 0
      const ratio = at === 0 ? '' : `× ${(figures.wall / first).toFixed(2)}`
      lines.push(
        `| ${at === 0 ? title : ''} | ${name} | ${figures.wall.toFixed(2)} s | ${ratio} | ${figures.cpu.toFixed(2)} s | ${figures.mebibytes.toFixed(0)} MiB |`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

const grouped = (value: number): string => value.toLocaleString('en-GB')
