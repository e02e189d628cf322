import { AppError } from '../base/errors.ts'

/**
 * For what a configuration may name, so that one file serves all versions, and this version cannot do yet. Openers of
 * sources and notifiers throw it for the types they do not know: never a silent skip.
 */
export function notYet(kind: 'source' | 'notifier', type: string): AppError {
  return new AppError('config.invalid', `a ${kind} of type ${type} does not work yet in this version`, {
    hint: `The configuration is valid; a later version of Holdfast opens ${type}.`,
    details: { kind, type },
  })
}
