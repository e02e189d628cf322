import { api } from '../../app/api.ts'
import { useLoad } from '../../app/load.ts'
import { size } from '../../format/size.ts'
import { Confirm, Dialog } from '../../parts/dialog.tsx'
import { Shown } from '../../parts/page.tsx'
import { Moment } from '../../parts/time.tsx'
import { common } from '../../parts/words.ts'
import { text } from './text.ts'

/** Shows what would go and why before anything goes. */
export function PruneDialog({ job, onClose, onDone }: { job: string; onClose: () => void; onDone: () => void }) {
  const t = text.value
  const plan = useLoad(
    async (signal) =>
      api.call('POST /api/v1/jobs/{name}/prune', { params: { name: job }, body: { dryRun: true }, signal }),
    [job],
  )
  const going = plan.data?.vaults.flatMap(({ vault, remove }) => remove.map((one) => ({ ...one, vault }))) ?? []
  const kept = plan.data?.vaults.reduce((sum, { keep }) => sum + keep.length, 0) ?? 0
  const freed = plan.data?.vaults.reduce((sum, { bytesFreed }) => sum + bytesFreed, 0) ?? 0
  if (plan.data === undefined || going.length === 0)
    return (
      <Dialog title={t.pruneTitle} onClose={onClose}>
        <Shown of={plan}>
          {() => (
            <p>
              {t.pruneNone} {t.pruneKeep(kept)}
            </p>
          )}
        </Shown>
        <div class="buttons">
          <button type="button" class="btn" onClick={onClose}>
            {common.value.close}
          </button>
        </div>
      </Dialog>
    )
  return (
    <Confirm
      title={t.pruneTitle}
      action={t.pruneAction(going.length)}
      name={job}
      onClose={onClose}
      run={async () => {
        await api.call('POST /api/v1/jobs/{name}/prune', { params: { name: job }, body: { dryRun: false } })
        onDone()
      }}
    >
      <p>
        <b>{t.pruneText(going.length, size(freed))}</b> {t.pruneKeep(kept)}
      </p>
      <div class="scroll going">
        <table>
          <tbody>
            {going.slice(0, 200).map(({ id, time, reasons, storedBytes, vault }) => (
              <tr key={`${vault} ${id}`}>
                <td>
                  <Moment at={time} />
                  <small>{vault}</small>
                </td>
                <td>{reasons.join(', ')}</td>
                <td class="num">{size(storedBytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Confirm>
  )
}
