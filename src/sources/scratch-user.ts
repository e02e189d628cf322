/** Servers refuse to run as root; what they need is a user that may do nothing else. */
const NOBODY = { uid: 65_534, gid: 65_534 }

/** Undefined: as we are. */
export const scratchUser = (): { uid: number; gid: number } | undefined =>
  process.getuid?.() === 0 ? NOBODY : undefined
