// Backups by the clock. Any scheduler will do: this one has no dependency. (`holdfast server` runs jobs on cron expressions.)
import { S3db } from 's3db.js/lite'
import { BackupPlugin, type BackupOptions } from 'holdfast'

/** At this hour of each day, of one day of the week (0 is Sunday), or of one day of the month. */
interface When {
  hour: number
  weekday?: number
  day?: number
}

class BackupScheduler {
  readonly #plugin: BackupPlugin
  readonly #schedules = new Map<string, NodeJS.Timeout>()

  constructor(plugin: BackupPlugin) {
    this.#plugin = plugin
  }

  schedule(name: string, when: When, type: string, options: BackupOptions = {}): void {
    let last = ''
    const look = (): void => {
      const now = new Date()
      const today = now.toDateString()
      const due =
        now.getHours() === when.hour &&
        (when.weekday === undefined || now.getDay() === when.weekday) &&
        (when.day === undefined || now.getDate() === when.day)
      if (!due || today === last) return
      last = today
      void this.run(name, type, options)
    }
    this.unschedule(name)
    this.#schedules.set(name, setInterval(look, 60_000))
  }

  /** What the clock calls. Backups that are due at once wait for each other. */
  async run(name: string, type: string, options: BackupOptions = {}): Promise<void> {
    try {
      const { id } = await this.#plugin.backup(type, options)
      console.log(`${name} made a backup: ${id.split('-')[0]}`)
    } catch (error) {
      console.error(`${name} failed:`, error)
    }
  }

  unschedule(name: string): void {
    clearInterval(this.#schedules.get(name))
    this.#schedules.delete(name)
  }

  listSchedules(): string[] {
    return [...this.#schedules.keys()]
  }
}

const db = new S3db({ connectionString: 'memory://shop/schedule', logLevel: 'silent' })
await db.connect()
await db.createResource({ name: 'users', attributes: { name: 'string' } })
const backups = new BackupPlugin({ driver: 'filesystem', config: { path: './backups/{type}/' } })
await db.usePlugin(backups)

const scheduler = new BackupScheduler(backups)
scheduler.schedule('daily-full', { hour: 2 }, 'full')
scheduler.schedule('weekly-incremental', { hour: 6, weekday: 0 }, 'incremental')
scheduler.schedule('monthly-archive', { hour: 0, day: 1 }, 'full', {
  compression: 'brotli',
  metadata: { type: 'archive' },
})
console.log(scheduler.listSchedules().join())

// Not to wait until two o'clock:
await scheduler.run('daily-full', 'full')
for (const name of scheduler.listSchedules()) scheduler.unschedule(name)
await backups.stop()
await db.disconnect()
