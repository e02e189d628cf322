import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, type ApiError, problemOf } from '../../app/api.ts'
import { useLoad } from '../../app/load.ts'
import { go, pathOf, to } from '../../app/router.ts'
import type { PageProps } from '../../app/routes.ts'
import { Act } from '../../parts/button.tsx'
import { Failure, Wait } from '../../parts/notice.tsx'
import { Head } from '../../parts/page.tsx'
import { tell } from '../../parts/toast.tsx'
import { Twin } from '../../parts/twin.tsx'
import { common } from '../../parts/words.ts'
import { text } from './text.ts'
import { adopt, newVault, vaultComplete, vaultDefinition, type VaultDraft, VaultForm } from './vault-form.tsx'
import { newKey } from '../../app/new-key.ts'

/** `/vaults/new` and `/vaults/:name/edit` */
export function Page({ params }: PageProps) {
  return params['name'] === undefined ? <Editor start={newVault()} /> : <Existing name={params['name']} />
}

function Existing({ name }: { name: string }) {
  const vault = useLoad(async (signal) => api.call('GET /api/v1/vaults/{name}', { params: { name }, signal }), [name])
  if (vault.error !== undefined) return <Failure error={vault.error} retry={() => vault.reload()} />
  if (vault.data === undefined) return <Wait lines={8} />
  return <Editor start={{ name, definition: vault.data.definition }} etag={vault.etag ?? ''} />
}

function Editor({ start, etag }: { start: VaultDraft; etag?: string }) {
  const t = text.value
  const draft = useSignal(start)
  const error = useSignal<ApiError | undefined>(undefined)
  const isNew = etag === undefined
  useEffect(() => {
    error.value = undefined
  }, [draft.value])
  const save = async (): Promise<void> => {
    const { name } = draft.value
    const definition = vaultDefinition(draft.value)
    if (isNew) {
      await api.call('POST /api/v1/vaults', {
        body: { name: name.trim(), definition },
        idempotencyKey: newKey(),
      })
      await adopt(name.trim())
    } else await api.call('PUT /api/v1/vaults/{name}', { params: { name }, body: { definition }, ifMatch: etag })
    tell('ok', t.saved)
    go(to(pathOf('vaults', name.trim())))
  }
  return (
    <>
      <Head
        title={isNew ? t.newTitle : start.name}
        crumbs={[
          [t.title, to('/vaults')],
          ...(isNew ? [] : [[start.name, to(pathOf('vaults', start.name))] as [string, string]]),
        ]}
      />
      <VaultForm draft={draft.value} onChange={(next) => (draft.value = next)} isNew={isNew} />
      <div class="stack s below">
        {error.value !== undefined && <Failure error={error.value} />}
        <div class="row">
          <Act
            kind="primary"
            disabled={!vaultComplete(draft.value)}
            run={save}
            onError={(problem) => (error.value = problemOf(problem))}
          >
            {isNew ? t.add : t.save}
          </Act>
          <a class="btn quiet" href={to('/vaults')}>
            {common.value.cancel}
          </a>
        </div>
      </div>
      <Twin
        cli={isNew ? 'holdfast init' : 'holdfast config show'}
        http={isNew ? 'POST /api/v1/vaults' : `PUT /api/v1/vaults/${start.name}`}
      />
    </>
  )
}
