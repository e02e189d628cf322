const PATHS = {
  overview: 'M4 13h6V4H4zM14 20h6V11h-6zM4 20h6v-3H4zM14 7h6V4h-6z',
  backups: 'M4 7l8-4 8 4-8 4zM4 12l8 4 8-4M4 17l8 4 8-4',
  restore: 'M4 5v5h5M4.500 10A8 8 0 1 1 4 14M12 8v4l3 2',
  runs: 'M4 6h10M4 12h16M4 18h7M18 4v4M15 16v4',
  vaults: 'M4 4h16v15H4zM7 19v2M17 19v2M12 8.500a3 3 0 1 0 0 6 3 3 0 1 0 0-6M12 11.500V7',
  alerts: 'M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4',
  settings:
    'M4 7h9M19 7h1M4 17h1M11 17h9M16 4.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 1 0 0-5M8 14.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 1 0 0-5',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 1 0 0-14M16.200 16.200L21 21',
  plus: 'M12 5v14M5 12h14',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  play: 'M7 4.500v15l12-7.500z',
  pause: 'M8 5v14M16 5v14',
  edit: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5',
  down: 'M12 4v11M7 11l5 5 5-5M4 20h16',
  close: 'M6 6l12 12M18 6L6 18',
  check: 'M5 12.500l5 5L20 7',
  right: 'M9 5l7 7-7 7',
  folder: 'M3 6h6l2 3h10v10H3z',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  link: 'M10 14a4 4 0 0 0 6 .500l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6-.500l-3 3a4 4 0 0 0 6 6l1-1',
  table: 'M4 5h16v14H4zM4 10h16M4 14.500h16M10 10v9',
  database: 'M4 6c0-4 16-4 16 0s-16 4-16 0v12c0 4 16 4 16 0V6M4 12c0 4 16 4 16 0',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  menu: 'M4 6h16M4 12h16M4 18h16',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 1 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500L19 19M19 5l-1.500 1.500M6.500 17.500L5 19',
  out: 'M10 4H4v16h6M15 8l4 4-4 4M19 12H9',
  lock: 'M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3',
  key: 'M8 11a4 4 0 1 0 0 8 4 4 0 1 0 0-8M11 12.500L20 4M16 7.500l3 3',
  bell: 'M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4',
  bolt: 'M13 3L5 14h6l-1 7 8-11h-6z',
} as const

export type IconName = keyof typeof PATHS

/** Decoration beside a word; where it stands alone the control has a label. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width={name === 'more' ? 3 : 1.8}
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      class="icon"
    >
      <path d={PATHS[name]} />
    </svg>
  )
}

export function Anchor({ size = 22 }: { size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="2.1"
      stroke-linecap="round"
      aria-hidden="true"
    >
      <path d="M12 5v16M12 14c-4 0-6.500 2-6.500 6M12 14c4 0 6.500 2 6.500 6" />
      <circle cx="12" cy="3.600" r="1.500" />
    </svg>
  )
}
