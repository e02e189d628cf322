/** KiB a second in each direction; or plans that change with the time of day. */
export type Bandwidth = number | BandwidthPlan

export interface BandwidthRates {
  /** Absent: no limit. */
  upload?: number
  download?: number
}

export interface BandwidthPlan extends BandwidthRates {
  /** Of the times; the system's if absent. */
  timezone?: string
  /** What holds at times, in place of the rest; the first that fits counts. */
  times?: BandwidthTime[]
}

export interface BandwidthTime extends BandwidthRates {
  /** `08:00-18:00`; past midnight if the second is not later than the first. */
  between: string
  /** On which it begins; every day if absent. */
  days?: Weekday[]
}

export const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
export type Weekday = (typeof WEEKDAYS)[number]
