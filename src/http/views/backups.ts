import type { Backup } from '../../model/backup.ts'
import type { Served } from '../contract/index.ts'

type Shown = Served<'GET /api/v1/backups'>['answer']['items'][number]

export function backupShown(backup: Backup): Shown {
  const { id, job, vault, source, type, time, needs, tags, paths, proof, warnings } = backup
  const { ended, parent, host, files, sourceBytes, storedBytes, encrypted, labels, broken } = backup
  return {
    id,
    job,
    vault,
    source,
    type,
    time,
    needs,
    tags,
    paths,
    warnings,
    proof: { level: proof.level, at: proof.at },
    hold: backup.hold === true,
    ...(ended && { ended }),
    ...(parent !== undefined && { parent }),
    ...(host !== undefined && { host }),
    ...(files !== undefined && { files }),
    ...(sourceBytes !== undefined && { sourceBytes }),
    ...(storedBytes !== undefined && { storedBytes }),
    ...(encrypted !== undefined && { encrypted }),
    ...(labels && { labels }),
    ...(broken !== undefined && { broken }),
  }
}
