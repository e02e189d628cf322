/** Numbers on the command line: what is none is refused, never taken for nothing. */
import { AppError } from '../base/errors.ts'

export const whole =
  (flag: string) =>
  (text: string): number => {
    if (/^\d+$/.test(text)) return Number(text)
    throw new AppError('usage.invalid', `${flag} ${text}: it takes a whole number`)
  }

export const positive =
  (flag: string) =>
  (text: string): number => {
    const number = Number(text)
    if (text.trim() !== '' && Number.isFinite(number) && number > 0) return number
    throw new AppError('usage.invalid', `${flag} ${text}: it takes a number above 0`)
  }
