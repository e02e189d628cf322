import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { annotate, holdTold } from '../../operations/hold.ts'
import type { Context } from '../context.ts'
import { collect, findBackup, withFilter, type VaultOptions } from '../vault-options.ts'

interface TagOptions extends VaultOptions {
  add?: string[]
  remove?: string[]
  set?: string[]
  hold?: boolean
}

export function register(program: Command, context: Context): void {
  withFilter(
    program.command('tag').description('change the tags of backups, or hold them: what is held is never pruned'),
  )
    .argument('<backup...>', 'ids, or latest')
    .option('--add <tag>', 'add a tag (repeatable)', collect)
    .option('--remove <tag>', 'remove a tag (repeatable)', collect)
    .option('--set <tag>', 'replace all tags (repeatable)', collect)
    .option('--hold', 'never prune')
    .option('--no-hold', 'let retention decide again')
    .action(async (references: string[], options: TagOptions) => {
      const { add, remove, set, hold } = options
      if (add === undefined && remove === undefined && set === undefined && hold === undefined)
        throw new AppError('usage.invalid', 'say what to change: --add, --remove, --set, --hold or --no-hold')
      const changed: string[] = []
      let objects = 0
      for (const reference of references) {
        const { vault, backup } = await findBackup(context, reference, options)
        if (context.options.dryRun !== true) {
          const outcome = await annotate(vault, backup.id, {
            ...(add && { addTags: add }),
            ...(remove && { removeTags: remove }),
            ...(set && { setTags: set }),
            ...(hold !== undefined && { hold }),
          })
          objects += outcome?.held ?? 0
          if (outcome?.refused) context.out.note(holdTold(outcome))
        }
        changed.push(backup.id)
      }
      context.out.result(
        { changed, applied: context.options.dryRun !== true, ...(objects > 0 && { objects_held: objects }) },
        () => {
          const told = `${context.options.dryRun === true ? 'would change' : 'changed'} ${changed.join(', ')}`
          return objects > 0 ? `${told}; ${holdTold({ held: objects })}` : told
        },
      )
    })
}
