/** Every page: its path, and the module that shows it, loaded when it is first wanted. */
import type { ComponentType } from 'preact'

export interface PageProps {
  params: Record<string, string>
}

type Load = () => Promise<{ Page: ComponentType<PageProps> }>

export const ROUTES: [pattern: string, load: Load][] = [
  ['/', async () => import('../pages/overview/overview.tsx')],
  ['/backups', async () => import('../pages/jobs/jobs.tsx')],
  ['/backups/new', async () => import('../pages/wizard/wizard.tsx')],
  ['/backups/logs', async () => import('../pages/runs/runs.tsx')],
  ['/runs', async () => import('../pages/runs/runs.tsx')],
  ['/runs/:id', async () => import('../pages/run/run.tsx')],
  ['/jobs', async () => import('../pages/jobs/jobs.tsx')],
  ['/jobs/:name', async () => import('../pages/job/job.tsx')],
  ['/jobs/:name/edit', async () => import('../pages/wizard/wizard.tsx')],
  ['/restore', async () => import('../pages/restore/restore.tsx')],
  ['/backup/:id', async () => import('../pages/backup/backup.tsx')],
  ['/vaults', async () => import('../pages/vaults/vaults.tsx')],
  ['/vaults/new', async () => import('../pages/vaults/edit.tsx')],
  ['/vaults/:name', async () => import('../pages/vaults/vault.tsx')],
  ['/vaults/:name/edit', async () => import('../pages/vaults/edit.tsx')],
  ['/alerts', async () => import('../pages/alerts/alerts.tsx')],
  ['/settings', async () => import('../pages/settings/account.tsx')],
  ['/settings/notifications', async () => import('../pages/settings/notifications.tsx')],
  ['/settings/users', async () => import('../pages/settings/users.tsx')],
  ['/settings/tokens', async () => import('../pages/settings/tokens.tsx')],
  ['/settings/audit', async () => import('../pages/settings/audit.tsx')],
  ['/settings/server', async () => import('../pages/settings/server.tsx')],
  ['/settings/about', async () => import('../pages/settings/about.tsx')],
  ['/setup', async () => import('../pages/setup/setup.tsx')],
]
