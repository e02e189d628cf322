import { AppError } from '../base/errors.ts'

/**
 * For what a configuration may name, so that one file serves all versions, and this version cannot do yet. What opens it throws this: never a silent skip.
 */
export function notYet(type: string): AppError {
  return new AppError('config.invalid', `a source of type ${type} does not work yet in this version`, {
    hint: `The configuration is valid; a later version of Holdfast opens ${type}.`,
    details: { type },
  })
}
