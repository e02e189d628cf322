/** Which moments of a lane were shown to restore: small notes beside its segments. docs/formats/lanes.md. */
import * as z from 'zod'
import { PROOF_LEVELS, type ProofLevel } from '../model/backup.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import { isGone } from './segments.ts'

export interface LaneProof {
  level: ProofLevel
  at: Date
  /** What was wanted was reached. */
  ok: boolean
  /** What was asked for, in words. */
  point: string
  backup?: string
  reached?: string
  transactions?: number
  /** Of the last commit in it. */
  time?: Date
}

const NAME = /^proof\.(\d+)$/
/** So many are kept. */
const KEPT = 20
const time = z.iso.datetime().transform((text) => new Date(text))
const shape = z.object({
  level: z.enum(PROOF_LEVELS),
  at: time,
  ok: z.boolean(),
  point: z.string(),
  backup: z.string().optional(),
  reached: z.string().optional(),
  transactions: z.number().optional(),
  time: time.optional(),
})

export async function noteLaneProof(vault: Vault, job: string, proof: LaneProof): Promise<void> {
  await vault.lanes.put(job, `proof.${proof.at.getTime()}`, Buffer.from(JSON.stringify(proof)))
  const names = await proofNames(vault, job)
  for (const name of names.slice(KEPT))
    await vault.lanes.remove(job, name).catch((error: unknown) => {
      if (!isGone(error)) throw error
    })
}

/** Newest first. */
export async function laneProofs(vault: Vault, job: string, most: number, cancel: Cancel = {}): Promise<LaneProof[]> {
  const found: LaneProof[] = []
  for (const name of (await proofNames(vault, job, cancel)).slice(0, most)) {
    try {
      const bytes = await vault.lanes.get(job, name, cancel)
      const parsed = shape.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')))
      if (parsed.success) found.push(defined(parsed.data))
    } catch (error) {
      if (!isGone(error) && !(error instanceof SyntaxError)) throw error
    }
  }
  return found
}

function defined({ backup, reached, transactions, time: of, ...rest }: z.infer<typeof shape>): LaneProof {
  return {
    ...rest,
    ...(backup !== undefined && { backup }),
    ...(reached !== undefined && { reached }),
    ...(transactions !== undefined && { transactions }),
    ...(of && { time: of }),
  }
}

async function proofNames(vault: Vault, job: string, cancel: Cancel = {}): Promise<string[]> {
  const names: { name: string; at: number }[] = []
  for await (const { name } of vault.lanes.list(job, cancel)) {
    const at = NAME.exec(name)?.[1]
    if (at !== undefined) names.push({ name, at: Number(at) })
  }
  return names.sort((a, b) => b.at - a.at).map(({ name }) => name)
}
