/** Lines of a run's log are JSON; what is not is shown as it is. */
export interface LogLine {
  time: string | undefined
  level: 'debug' | 'info' | 'warn' | 'error'
  message: string
  /** What else it says, as `name value`. */
  fields: string
}

const HIDDEN = new Set(['level', 'time', 'msg', 'message', 'pid', 'hostname', 'run', 'name', 'v'])

export function parseLine(text: string): LogLine {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (typeof value !== 'object' || value === null) return { time: undefined, level: 'info', message: text, fields: '' }
  const fields = new Map(Object.entries(value) as [string, unknown][])
  const time = fields.get('time')
  const message = fields.get('msg') ?? fields.get('message')
  return {
    time: typeof time === 'string' || typeof time === 'number' ? new Date(time).toISOString() : undefined,
    level: levelOf(fields.get('level')),
    message: typeof message === 'string' ? message : text,
    fields: [...fields]
      .filter(([name]) => !HIDDEN.has(name))
      .map(([name, field]) => `${name} ${typeof field === 'string' ? field : JSON.stringify(field)}`)
      .join('  '),
  }
}

/** A word, or pino's number. */
function levelOf(level: unknown): LogLine['level'] {
  if (level === 'debug' || level === 'info' || level === 'warn' || level === 'error') return level
  if (typeof level !== 'number') return level === 'trace' ? 'debug' : 'info'
  return level >= 50 ? 'error' : level >= 40 ? 'warn' : level >= 30 ? 'info' : 'debug'
}
