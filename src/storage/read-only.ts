import { AppError } from '../base/errors.ts'
import type { Storage } from '../model/storage.ts'

/** Reads pass, writes reject with `storage.denied`: for looking at a vault that must stay as it is. */
export function readOnly(storage: Storage): Storage {
  const refuse = async (): Promise<never> => {
    throw new AppError('storage.denied', `cannot change ${storage.name}: it was opened for reading only`, {
      hint: 'Open it for writing if it is meant to change.',
    })
  }
  return {
    ...storage,
    put: refuse,
    remove: refuse,
    sweep: refuse,
  }
}
