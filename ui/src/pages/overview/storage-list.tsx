import type { Answer } from '../../app/api.ts'
import { pathOf, to } from '../../app/router.ts'
import { Bar } from '../../charts/bar.tsx'
import { size } from '../../format/size.ts'
import { Tag } from '../../parts/state.tsx'
import { text } from './text.ts'

type Vault = Answer<'GET /api/v1/vaults'>['items'][number]

/** Of the space that there is: what limits or the disk say; undefined where nobody knows. */
export function shareOf({ bytes, free, limits }: Vault): number | undefined {
  if (bytes === undefined) return undefined
  const total = limits?.stop ?? (free === undefined ? undefined : bytes + free)
  return total === undefined || total === 0 ? undefined : bytes / total
}

export const toneOfVault = (vault: Vault): 'bad' | 'warn' | 'mute' => {
  const { daysToFull, bytes, limits } = vault
  if ((shareOf(vault) ?? 0) > 0.95) return 'bad'
  const near = daysToFull !== undefined && daysToFull < 60
  return near || (limits?.warn !== undefined && (bytes ?? 0) > limits.warn) ? 'warn' : 'mute'
}

export function StorageList({ vaults }: { vaults: Vault[] }) {
  const t = text.value
  return (
    <ul class="storage">
      {vaults.map((vault) => {
        const share = shareOf(vault)
        const { name, bytes, free, growthPerDay, daysToFull } = vault
        const parts = [
          bytes === undefined ? t.unknown : free === undefined ? size(bytes) : t.of(size(bytes), size(bytes + free)),
          growthPerDay !== undefined && growthPerDay !== 0
            ? t.perDay(`${growthPerDay > 0 ? '+' : ''}${size(growthPerDay)}`)
            : undefined,
          daysToFull === undefined || daysToFull > 730 ? undefined : t.full(Math.round(daysToFull)),
        ].filter((part) => part !== undefined)
        return (
          <li key={name}>
            <a href={to(pathOf('vaults', name))} class="clip">
              {name}
            </a>
            {vault.problem !== undefined && <Tag tone="bad" mark="✕" text={t.trouble} title={vault.problem} />}
            <span class="num small soft">{parts.join(' · ')}</span>
            {share !== undefined && <Bar share={share} tone={toneOfVault(vault)} label={t.used(size(bytes), share)} />}
          </li>
        )
      })}
    </ul>
  )
}
