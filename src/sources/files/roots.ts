import { lstatSync } from 'node:fs'
import { resolve } from 'node:path'
import { AppError, errno } from '../../base/errors.ts'
import { displayPath } from '../../base/paths.ts'
import type { ReportWarning } from '../../model/progress.ts'
import { withPath } from './long-path.ts'

/** The folders that lead to the roots, as a tree of names. A root is where `root` is set; roots may lie in roots. */
export interface RootNode {
  root: boolean
  children: Map<string, RootNode>
}

/** `/srv/a/` → `srv/a`; the root of the file system is ''. */
export const entryPathOf = (path: string): string => resolve(path).slice(1)

export function rootTree(paths: readonly string[]): RootNode {
  const top: RootNode = { root: false, children: new Map() }
  for (const path of paths) {
    let node = top
    for (const name of path === '' ? [] : path.split('/')) {
      let next = node.children.get(name)
      if (next === undefined) node.children.set(name, (next = { root: false, children: new Map() }))
      node = next
    }
    node.root = true
  }
  return top
}

/** Leaves out roots that are missing or out of reach, each with a warning; rejects when none is left. */
export function presentRoots(paths: readonly string[], warn: ReportWarning): string[] {
  const failures: AppError[] = []
  const present = paths.filter((path) => {
    const failure = rootFailure(path)
    if (failure !== undefined) failures.push(failure)
    return failure === undefined
  })
  if (present.length === 0) throw failures[0] ?? new AppError('usage.invalid', 'no path to back up was given')
  for (const failure of failures) warn({ code: 'unreadable', message: failure.message })
  return present
}

export function rootFailure(path: string): AppError | undefined {
  try {
    withPath(`/${path}`, (at) => lstatSync(at))
    return undefined
  } catch (error) {
    const shown = displayPath(`/${path}`)
    return ['ENOENT', 'ENOTDIR'].includes(errno(error) ?? '')
      ? new AppError('source.not-found', `${shown} does not exist`, { cause: error })
      : new AppError('source.denied', `cannot look at ${shown}: ${errno(error) ?? String(error)}`, { cause: error })
  }
}
