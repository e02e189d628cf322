/** Every route has its handler here, or this does not compile. */
import type { RouteKey } from '../contract/index.ts'
import type { Api, Handlers } from '../handler.ts'
import { accountHandlers } from './accounts.ts'
import { backupHandlers } from './backups.ts'
import { configHandlers } from './configs.ts'
import { jobHandlers } from './jobs.ts'
import { overviewHandlers } from './overview.ts'
import { runHandlers } from './runs.ts'
import { sourceHandlers } from './sources.ts'
import { userHandlers } from './users.ts'
import { vaultHandlers } from './vaults.ts'

export const allHandlers = (api: Api): Handlers<RouteKey> => ({
  ...accountHandlers(api),
  ...userHandlers(api),
  ...overviewHandlers(api),
  ...jobHandlers(api),
  ...runHandlers(api),
  ...backupHandlers(api),
  ...vaultHandlers(api),
  ...sourceHandlers(api),
  ...configHandlers(api),
})
