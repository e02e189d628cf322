import { place, to } from '../app/router.ts'

/** Parts of one page, each with an address of its own. */
export function Tabs<V extends string>({
  tabs,
  now,
  label,
}: {
  tabs: readonly (readonly [V, string])[]
  now: V
  label: string
}) {
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map(([tab, text], at) => (
        <a
          key={tab}
          href={to(place.value.path, { tab: at === 0 ? undefined : tab })}
          aria-current={tab === now ? 'page' : undefined}
        >
          {text}
        </a>
      ))}
    </nav>
  )
}

/** Which of them the address names; the first if none. */
export const tabOf = <V extends string>(tabs: readonly (readonly [V, string])[], fallback: V): V =>
  tabs.find(([tab]) => tab === place.value.query.get('tab'))?.[0] ?? fallback
