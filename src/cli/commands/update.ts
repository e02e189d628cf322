import { execFile } from 'node:child_process'
import { join } from 'node:path'
import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { VERSION } from '../../base/version.ts'
import type { Context } from '../context.ts'

export function register(program: Command, context: Context): void {
  program
    .command('update')
    .description('fetch the newest version, hold it against its checksum, and install it where npm installed this one')
    .option('--check', 'only say whether there is a newer one')
    .option('--download', 'fetch and check it, and do not install it')
    .action(async (options: { check?: boolean; download?: boolean }) => update(context, options))
}

async function update(context: Context, { check, download }: { check?: boolean; download?: boolean }): Promise<void> {
  const { out, signal } = context
  const { settings } = await context.config()
  const { fetchVersion, latestVersion, registryOf } = await import('../../operations/update.ts')
  const found = await latestVersion(await registryOf(settings.update.registry), VERSION, signal)
  const { latest, newer } = found
  if (!newer || check === true || context.options.dryRun === true) {
    out.result({ current: VERSION, latest, newer }, () =>
      newer
        ? `version ${latest} is there, this is ${VERSION}: \`holdfast update\` installs it`
        : `${VERSION} is the newest version`,
    )
    return
  }
  const file = await fetchVersion(found, join(settings.server.dataDir, 'updates'), signal)
  // Only what npm put there for the whole machine is npm's to replace.
  const prefix = /^(.*)\/lib\/node_modules\/holdfast\//.exec(import.meta.filename)?.[1]
  if (download === true || prefix === undefined) {
    const command = `npm install -g ${file}`
    out.result(
      { current: VERSION, latest, newer, file, installed: false },
      () => `${file} is version ${latest}, whole and checked; install it with \`${command}\``,
    )
    return
  }
  await new Promise<void>((resolve, reject) => {
    execFile(
      'npm',
      ['install', '-g', '--prefix', prefix, file],
      { signal, timeout: 10 * 60_000 },
      (error, _, stderr) => {
        if (error === null) resolve()
        else
          reject(
            new AppError(
              'run.failed',
              `npm could not install it: ${stderr.trim().split('\n').at(-1) ?? error.message}`,
            ),
          )
      },
    )
  })
  out.result(
    { current: VERSION, latest, newer, file, installed: true },
    () => `installed version ${latest}; running servers go on with ${VERSION} until they start again`,
  )
}
