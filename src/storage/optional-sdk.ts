import { AppError, errno } from '../base/errors.ts'

/** Loads a package that only those install who use its storage; says how where it is missing. */
export async function optionalSdk<T>(load: () => Promise<T>, what: string, install: string): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    if (errno(cause) !== 'ERR_MODULE_NOT_FOUND') throw cause
    const name = install.replace(/@[^@/]*$/, '')
    throw new AppError('storage.unsupported', `${what} needs the package ${name}, which is not installed`, {
      cause,
      hint: `Install it beside Holdfast: \`npm install ${install}\`.`,
    })
  }
}
