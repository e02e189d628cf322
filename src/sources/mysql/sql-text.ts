/** Names and values as text of SQL, and texts of several statements as `mariadb` and `mysql` read them too. */
import { AppError } from '../../base/errors.ts'

export const identifier = (name: string): string => `\`${name.replaceAll('`', '``')}\``

const ESCAPES: Record<string, string> = {
  '\0': '\\0',
  '\n': '\\n',
  '\r': '\\r',
  '\u001A': '\\Z',
  "'": "\\'",
  '"': '\\"',
  '\\': '\\\\',
}

// eslint-disable-next-line no-control-regex
export const literal = (text: string): string =>
  `'${text.replaceAll(/[\0\n\r\u001A'"\\]/g, (char) => ESCAPES[char] ?? char)}'`

/** What every file begins with: values mean the same wherever they are read, and references may come in any order. */
export const SETTINGS =
  "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0, unique_checks = 0;\n"

/** Statements with whatever in them, under a delimiter that is in none of them. */
export function statementsText(statements: readonly string[]): string {
  let delimiter = ';;'
  while (statements.some((statement) => statement.includes(delimiter))) delimiter += ';$'
  return `${SETTINGS}DELIMITER ${delimiter}\n${statements.map((statement) => `${statement}\n${delimiter}\n`).join('')}DELIMITER ;\n`
}

/** The statements of such a text, or of one whose statements end with `;` at the end of a line. */
export function splitStatements(text: string, what: string): string[] {
  const statements: string[] = []
  let delimiter = ';'
  let at = 0
  while (at < text.length) {
    if (text.startsWith('DELIMITER ', at)) {
      const end = text.indexOf('\n', at)
      delimiter = text.slice(at + 'DELIMITER '.length, end)
      at = end + 1
      continue
    }
    const end = text.indexOf(`${delimiter}\n`, at)
    if (end === -1) throw new AppError('backup.damaged', `${what} ends within a statement`)
    const statement = text.slice(at, end).trim()
    if (statement !== '') statements.push(statement)
    at = end + delimiter.length + 1
  }
  return statements
}
