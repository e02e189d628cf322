import { stderr, stdin } from 'node:process'
import { AppError } from '../base/errors.ts'

/** Reads a line from the terminal without showing it. */
export async function promptHidden(question: string): Promise<string> {
  if (!stdin.isTTY) throw new AppError('usage.invalid', 'there is no terminal to ask on')
  stderr.write(question)
  stdin.setRawMode(true).setEncoding('utf8').resume()
  let line = ''
  try {
    for await (const chunk of stdin) {
      for (const char of String(chunk)) {
        if (char === '\r' || char === '\n') return line
        if (char === '\u0003') throw new AppError('run.cancelled', 'cancelled')
        if (char === '\u007F' || char === '\b') line = line.slice(0, -1)
        else line += char
      }
    }
    return line
  } finally {
    stdin.setRawMode(false).pause()
    stderr.write('\n')
  }
}
