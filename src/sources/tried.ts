/** What trials of whole servers have in common: with or without the log after the backup, and what is asked there. */
import { AppError } from '../base/errors.ts'
import type { PointTrial, PointTrialFrom, Reached } from '../model/lane.ts'
import type { OpenEntries, Trial, TrialCheck, TrialOptions } from '../model/source.ts'

export interface Tried {
  checks: TrialCheck[]
  reached?: Reached
}

/** Nothing was shown, and nothing is wrong. */
export const untried = (detail: string): Tried => ({ checks: [{ level: 'V3', ok: false, untried: true, detail }] })

export type RunTrial = (open: OpenEntries, options: TrialOptions, forward?: PointTrialFrom) => Promise<Tried>

export const trialOf = (run: RunTrial): Trial => ({ run: async (open, options) => (await run(open, options)).checks })

/** The same with the log after it: the server comes forward to the moment before it is asked. */
export const pointTrialOf = (run: RunTrial): PointTrial => ({
  async run(from, options) {
    if (from.open === undefined) throw new AppError('internal.bug', 'a server comes forward from a backup')
    return run(from.open, options, from)
  },
})

/** `ask` gives what does not hold, in words. */
export async function assertionsCheck(
  assertions: readonly string[],
  ask: () => Promise<readonly string[]>,
): Promise<TrialCheck> {
  if (assertions.length === 0) return { level: 'V5', ok: false, detail: 'no assertion was given', untried: true }
  const [broken] = await ask()
  return {
    level: 'V5',
    ok: broken === undefined,
    detail: broken === undefined ? `${assertions.length} assertions hold` : `does not hold: ${broken}`,
  }
}
