import type { Notification, Notifier } from '../model/notify.ts'
import type { NotifySettings } from '../model/settings.ts'
import { command } from './command.ts'
import { email } from './email.ts'
import { healthchecks } from './healthchecks.ts'
import { opentelemetry } from './opentelemetry.ts'
import { post, type Post } from './post.ts'
import * as services from './services.ts'

/** Connects to nothing. */
export function openNotifier(settings: NotifySettings): Notifier {
  const by = (form: (notification: Notification) => Promise<Post>): Notifier => ({
    name: settings.name,
    on: settings.on,
    async send(notification, { signal } = {}) {
      await post(settings.type, await form(notification), { signal })
    },
  })
  switch (settings.type) {
    case 'email':
      return email(settings)
    case 'command':
      return command(settings)
    case 'healthchecks':
      return healthchecks(settings)
    case 'opentelemetry':
      return { ...by(async (notification) => opentelemetry(settings, notification)), everyRun: true }
    case 'slack':
      return by((notification) => services.slack(settings, notification))
    case 'discord':
      return by((notification) => services.discord(settings, notification))
    case 'telegram':
      return by((notification) => services.telegram(settings, notification))
    case 'ntfy':
      return by((notification) => services.ntfy(settings, notification))
    case 'gotify':
      return by((notification) => services.gotify(settings, notification))
    case 'webhook':
      return by((notification) => services.webhook(settings, notification))
  }
}
