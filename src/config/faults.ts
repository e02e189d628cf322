import { AppError } from '../base/errors.ts'
import { redact } from '../base/redact.ts'

/** One thing that is wrong with a configuration, and where. Holds no value of a secret. */
export interface Fault {
  file?: string
  line?: number
  column?: number
  /** `vaults.offsite.storage`, or the name of an environment variable. */
  key: string
  message: string
  /** What was probably meant. */
  suggestion?: string
}

/** Without those that say the same of the same place. */
export function unique(faults: readonly Fault[]): Fault[] {
  return [...new Map(faults.map((fault) => [JSON.stringify(fault), fault])).values()]
}

/** All faults in one error; the order is that of the file. */
export function faultsError(faults: readonly Fault[]): AppError {
  const sorted = unique(faults).sort(
    (a, b) =>
      (a.file ?? '~').localeCompare(b.file ?? '~') ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  )
  const clean = sorted.map((fault) => ({ ...fault, message: redact(fault.message) }))
  const count = clean.length === 1 ? 'one fault' : `${clean.length} faults`
  const lines = clean.map((fault) => `  ${showFault(fault)}`)
  return new AppError('config.invalid', [`the configuration has ${count}`, ...lines].join('\n'), {
    details: { faults: clean },
  })
}

/** `holdfast.yaml:3:5 vaults.offsite: unknown key; did you mean "offset"?` */
export function showFault(fault: Fault): string {
  const place = [fault.file, fault.line, fault.column].filter((part) => part !== undefined).join(':')
  const suggestion = fault.suggestion === undefined ? '' : `; did you mean ${JSON.stringify(fault.suggestion)}?`
  return [place, `${fault.key}:`, `${fault.message}${suggestion}`]
    .filter((part) => part !== '' && part !== ':')
    .join(' ')
}
