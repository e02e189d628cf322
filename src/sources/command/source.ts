import { AppError } from '../../base/errors.ts'
import { findProgram, startProgram } from '../../base/program.ts'
import type { ByteReader } from '../../base/reader.ts'
import { parseDuration } from '../../base/units.ts'
import type { CommandSettings } from '../../model/databases.ts'
import type { ReadOptions, Source, SourceCheck } from '../../model/source.ts'
import { dumpReading, dumpStream, timestampOf } from '../dump-reading.ts'
import { splitWords } from './words.ts'

const DEFAULT_NAME = 'stdout'

/** What a program writes to its standard output, as one file. There is no backup unless it ends with exit code 0. */
export function command(settings: CommandSettings): Source {
  const words = typeof settings.command === 'string' ? splitWords(settings.command) : settings.command
  const [program, ...args] = words
  if (program === undefined) throw new AppError('config.invalid', 'a command source names no program')
  const name = settings.name ?? DEFAULT_NAME
  if (/[/\0]/.test(name) || name === '.' || name === '..')
    throw new AppError('config.invalid', `${JSON.stringify(name)} cannot be the name of a file`)
  return {
    type: 'command',
    // Arguments may hold what is not for everybody.
    name: `${program} (${args.length} arguments)`,
    paths: [`/${name}`],
    test: async () => [checkProgram(program)],
    read: async ({ signal }: ReadOptions) => {
      const mtime = timestampOf(new Date())
      const open = (): ByteReader => {
        const running = startProgram({
          program,
          args,
          ...(signal && { signal }),
          ...(settings.idleTimeout !== undefined && { idleMs: parseDuration(settings.idleTimeout) }),
        })
        running.stdin.end()
        return settings.allowEmpty === true ? running.stdout : notEmpty(running.stdout, program)
      }
      return dumpReading({
        async *entries() {
          yield dumpStream(name, mtime, open)
        },
        close: async () => {},
      })
    },
  }
}

/** A program that says nothing and calls it success has failed, unless somebody says that this is its way. */
function notEmpty(reader: ByteReader, program: string): ByteReader {
  let got = 0
  return {
    async read(into) {
      const count = await reader.read(into)
      got += count
      if (count === 0 && got === 0)
        throw new AppError('source.incomplete', `${program} ended with exit code 0 and wrote nothing`, {
          hint: 'If that is right, set allowEmpty: true in the source of the job.',
        })
      return count
    },
    close: () => reader.close(),
  }
}

function checkProgram(program: string): SourceCheck {
  const found = findProgram(program)
  const name = `program ${program}`
  if (found !== undefined) return { name, ok: true, detail: found }
  return {
    name,
    ok: false,
    detail: 'is not there, or may not be run by this user',
    fix: `install ${program}, or name it by its full path`,
  }
}
