import { notYet } from '../model/later.ts'
import type { Notifier } from '../model/notify.ts'
import type { NotifySettings } from '../model/settings.ts'
import { email } from './email.ts'

/** Throws `config.invalid` for types that come with a later version. Connects to nothing. */
export function openNotifier(settings: NotifySettings): Notifier {
  if (settings.type === 'email') return email(settings)
  throw notYet('notifier', settings.type)
}
