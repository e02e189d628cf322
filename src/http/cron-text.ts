/** What a cron expression says, in words: exact for the common forms, else the expression as it stands. */
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']
const NICK: Record<string, string> = {
  '@yearly': 'once a year, on 1 January at 00:00',
  '@annually': 'once a year, on 1 January at 00:00',
  '@monthly': 'on the 1st of each month at 00:00',
  '@weekly': 'each Sunday at 00:00',
  '@daily': 'each day at 00:00',
  '@midnight': 'each day at 00:00',
  '@hourly': 'each hour at minute 0',
}

export function cronText(expression: string): string {
  const text = expression.trim()
  const nick = NICK[text.toLowerCase()]
  if (nick !== undefined) return nick
  const fields = text.split(/\s+/)
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields
  if (fields.length !== 5 || month !== '*') return text
  const every = /^\*\/(\d+)$/.exec(minute)
  if (every !== null && hour === '*' && day === '*' && weekday === '*') return `every ${every[1]} minutes`
  if (!/^\d+$/.test(minute)) return text
  if (hour === '*' && day === '*' && weekday === '*') return `each hour at minute ${Number(minute)}`
  const hours = /^\*\/(\d+)$/.exec(hour)
  if (hours !== null && day === '*' && weekday === '*') return `every ${hours[1]} hours at minute ${Number(minute)}`
  if (!/^\d+(,\d+)*$/.test(hour)) return text
  const at = hour
    .split(',')
    .map((one) => `${one.padStart(2, '0')}:${minute.padStart(2, '0')}`)
    .join(', ')
  if (day === '*' && weekday === '*') return `each day at ${at}`
  if (day === '*') {
    const days = weekdays(weekday)
    return days === undefined ? text : `${days} at ${at}`
  }
  return weekday === '*' && /^\d+$/.test(day) ? `on day ${Number(day)} of each month at ${at}` : text
}

function weekdays(text: string): string | undefined {
  const numbered = text
    .toUpperCase()
    .replaceAll(/SUN|MON|TUE|WED|THU|FRI|SAT/g, (name) =>
      String(['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'].indexOf(name)),
    )
  if (numbered === '1-5') return 'Monday to Friday'
  const range = /^([0-7])-([0-7])$/.exec(numbered)
  if (range !== null) return `${DAYS[Number(range[1])]} to ${DAYS[Number(range[2])]}`
  if (!/^[0-7](,[0-7])*$/.test(numbered)) return undefined
  const names = numbered.split(',').map((one) => DAYS[Number(one)])
  return `each ${names.join(', ')}`
}
