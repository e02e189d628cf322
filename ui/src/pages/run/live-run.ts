import type { Answer } from '../../app/api.ts'

export type Run = Answer<'GET /api/v1/runs/{id}'>

/** It waits or works. */
export const isLive = ({ status }: Pick<Run, 'status'>): boolean => status === 'running' || status === 'queued'
