/** All routes of the API. The page and the command line take their types from here; zod stays on the server. */
import { accessRoutes } from './access.ts'
import { backupRoutes } from './backups.ts'
import { configRoutes } from './configs.ts'
import { jobRoutes } from './jobs.ts'
import type { CallOf, ServedOf } from './kit.ts'
import { overviewRoutes } from './overview.ts'
import { runRoutes } from './runs.ts'
import { vaultRoutes } from './vaults.ts'

export const routes = {
  ...accessRoutes,
  ...overviewRoutes,
  ...jobRoutes,
  ...runRoutes,
  ...backupRoutes,
  ...vaultRoutes,
  ...configRoutes,
}

export type Routes = typeof routes
export type RouteKey = keyof Routes
/** Of one route, as a client sees it. */
export type Call<K extends RouteKey> = CallOf<Routes[K]>
/** Of one route, as the server has it. */
export type Served<K extends RouteKey> = ServedOf<Routes[K]>
