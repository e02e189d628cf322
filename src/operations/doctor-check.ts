import { isAppError, type AppError } from '../base/errors.ts'

export interface DoctorCheck {
  /** `machine`, `job NAME`, `vault NAME` */
  area: string
  name: string
  ok: boolean
  detail: string
  fix?: string
}

export function failed(area: string, name: string, error: AppError): DoctorCheck {
  const detail = isAppError(error) ? `${error.code}: ${error.message}` : String(error)
  return { area, name, ok: false, detail, fix: error.hint }
}
