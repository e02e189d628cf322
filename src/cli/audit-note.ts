/** What is done on the command line is in the audit log too. */
import { userName } from '../base/user.ts'
import type { Context } from './context.ts'

export async function auditNote(
  context: Context,
  action: string,
  object: string,
  detail: Record<string, unknown> = {},
): Promise<void> {
  const app = await context.app()
  const actor = `${userName()} (command line)`
  app.history().server.audit.append({ at: app.clock.now(), actor, action, object, detail })
}
