import { accessSync, constants, statSync } from 'node:fs'
import { errno } from '../../base/errors.ts'
import { displayPath } from '../../base/paths.ts'
import type { FilesSettings } from '../../model/job.ts'
import type { SourceCheck } from '../../model/source.ts'
import { loadLibc } from './libc.ts'
import { withPath } from './long-path.ts'
import { rootFailure } from './roots.ts'

/** Looks at the roots and at what this process may do; rejects when there is nothing to back up. */
export async function checkFiles(settings: FilesSettings, roots: readonly string[]): Promise<SourceCheck[]> {
  const failures = roots.map(rootFailure)
  const first = failures[0]
  if (first !== undefined && failures.every((failure) => failure !== undefined)) throw first
  const checks = roots.map((root, at): SourceCheck => {
    const failure = failures[at]
    return failure === undefined
      ? rootCheck(root)
      : { name: displayPath(`/${root}`), ok: false, detail: failure.message, fix: failure.hint }
  })
  return [...checks, userCheck(), await attributesCheck(settings)]
}

function rootCheck(root: string): SourceCheck {
  const name = displayPath(`/${root}`)
  try {
    withPath(`/${root}`, (at) => {
      const folder = statSync(at).isDirectory()
      accessSync(at, constants.R_OK | (folder ? constants.X_OK : 0))
    })
    return { name, ok: true, detail: 'can be read' }
  } catch (error) {
    return {
      name,
      ok: false,
      detail: `cannot be read: ${errno(error) ?? String(error)}`,
      fix: `Run as a user who may read ${name}.`,
    }
  }
}

function userCheck(): SourceCheck {
  const root = process.getuid?.() === 0
  return {
    name: 'user',
    ok: true,
    detail: root
      ? 'running as root: every file can be read'
      : `running as user ${process.getuid?.()}: files that it may not read are left out with a warning`,
  }
}

async function attributesCheck(settings: FilesSettings): Promise<SourceCheck> {
  const name = 'extended attributes'
  if (settings.xattrs === false) return { name, ok: true, detail: 'switched off in the settings' }
  if ((await loadLibc()) !== undefined) return { name, ok: true, detail: 'attributes, ACLs and holes are kept' }
  return {
    name,
    ok: false,
    detail: 'koffi is not there: extended attributes, ACLs and the holes of sparse files are not kept',
    fix: 'npm install koffi',
  }
}
