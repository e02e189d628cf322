import { useSignal } from '@preact/signals'
import { type Answer, api, type ApiError } from '../../app/api.ts'
import { BrowseButton } from '../../forms/browse.tsx'
import { Checks } from '../../forms/checks.tsx'
import { get, objectAt, set, textAt, textsAt } from '../../forms/definition.ts'
import { Fields } from '../../forms/fields.tsx'
import { fieldWords } from '../../forms/field-words.ts'
import { SOURCES } from '../../forms/specs.ts'
import { size } from '../../format/size.ts'
import { Act } from '../../parts/button.tsx'
import { Check, Choice, Lines, Text } from '../../parts/form.tsx'
import { common } from '../../parts/words.ts'
import type { StepProps } from './draft.ts'
import { ExcludeTester } from './exclude-tester.tsx'
import { text } from './text.ts'

type Found = Answer<'POST /api/v1/sources/test'>

const TYPES = ['files', 'postgres', 'mysql', 'mongodb', 'sqlite', 's3db', 'command']
const SERVERS = ['postgres', 'mysql', 'mongodb']

export function SourceStep({ draft, change, rename, isNew }: StepProps) {
  const t = text.value.source
  const { name, definition } = draft
  const type = textAt(definition, 'source.type')
  const found = useSignal<Found | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const source = objectAt(definition, 'source')
  return (
    <div class="stack l">
      {isNew && (
        <Text label={t.name} hint={t.nameHint} value={name} placeholder="documents" onInput={rename} required />
      )}
      <fieldset>
        <legend class="strong">{t.what}</legend>
        <div class="cards">
          {TYPES.map((one) => (
            <label key={one} class="card">
              <input
                type="radio"
                name="source-type"
                checked={type === one}
                onChange={() => {
                  found.value = undefined
                  change(set(definition, 'source', one === 'files' ? { type: one, paths: [] } : { type: one }))
                }}
              />
              <b>{common.value.sources[one]}</b>
              <small>{t.hints[one]}</small>
            </label>
          ))}
        </div>
      </fieldset>
      {type === 'files' ? (
        <FilesSource draft={draft} change={change} />
      ) : (
        <div class="stack">
          <Fields
            key={type}
            specs={SOURCES[type] ?? []}
            value={source}
            onChange={(next) => {
              found.value = undefined
              change(set(definition, 'source', next))
            }}
          />
          {type === 'sqlite' && (
            <div>
              <BrowseButton
                onTake={(path) =>
                  change(set(definition, 'source.files', [...new Set([...textsAt(definition, 'source.files'), path])]))
                }
              />
            </div>
          )}
          <Checks of={found.value} error={error.value} />
          {SERVERS.includes(type) && <Databases found={found.value?.databases ?? []} draft={draft} change={change} />}
          <div>
            <Act
              run={async () => {
                error.value = undefined
                found.value = undefined
                found.value = (await api.call('POST /api/v1/sources/test', { body: { definition: source } })).data
              }}
              onError={(problem) => (error.value = problem)}
            >
              {SERVERS.includes(type) ? t.test : t.look}
            </Act>
          </div>
        </div>
      )}
    </div>
  )
}

function FilesSource({ draft, change }: Pick<StepProps, 'draft' | 'change'>) {
  const t = text.value.source
  const { definition } = draft
  const list =
    (path: string) =>
    (values: string[]): void =>
      change(set(definition, path, values.length === 0 && path !== 'source.paths' ? undefined : values))
  const paths = textsAt(definition, 'source.paths')
  return (
    <div class="source-files">
      <div class="stack">
        <Lines
          label={t.paths}
          values={paths}
          placeholder="/srv/documents"
          onChange={list('source.paths')}
          extra={<BrowseButton onTake={(path) => list('source.paths')([...new Set([...paths, path])])} />}
        />
        <Lines
          label={t.exclude}
          hint={t.excludeHint}
          values={textsAt(definition, 'source.exclude')}
          placeholder="*.tmp"
          onChange={list('source.exclude')}
        />
        <details
          class="rest"
          open={['include', 'excludeIfPresent', 'oneFileSystem', 'excludeHidden'].some(
            (key) => get(definition, `source.${key}`) !== undefined,
          )}
        >
          <summary>{fieldWords.value.more}</summary>
          <div class="stack">
            <Lines
              label={t.include}
              values={textsAt(definition, 'source.include')}
              placeholder="!important.tmp"
              onChange={list('source.include')}
            />
            <Lines
              label={t.present}
              values={textsAt(definition, 'source.excludeIfPresent')}
              placeholder="CACHEDIR.TAG"
              onChange={list('source.excludeIfPresent')}
            />
            <Check
              label={t.oneFileSystem}
              value={get(definition, 'source.oneFileSystem') === true}
              onChange={(on) => change(set(definition, 'source.oneFileSystem', on ? true : undefined))}
            />
            <Check
              label={t.hidden}
              value={get(definition, 'source.excludeHidden') === true}
              onChange={(on) => change(set(definition, 'source.excludeHidden', on ? true : undefined))}
            />
          </div>
        </details>
      </div>
      <ExcludeTester source={objectAt(definition, 'source')} />
    </div>
  )
}

function Databases({
  found,
  draft,
  change,
}: { found: { name: string; bytes?: number | undefined }[] } & Pick<StepProps, 'draft' | 'change'>) {
  const t = text.value.source
  const { definition } = draft
  const chosen = textsAt(definition, 'source.databases')
  const only = get(definition, 'source.databases') !== undefined
  const all = [
    ...found,
    ...chosen.filter((name) => !found.some((one) => one.name === name)).map((name) => ({ name, bytes: undefined })),
  ]
  const put = (names: string[] | undefined): void => change(set(definition, 'source.databases', names))
  return (
    <fieldset class="stack s">
      <Choice
        label={fieldWords.value.databases}
        showLabel
        value={only ? 'only' : 'all'}
        options={[
          ['all', t.all],
          ['only', t.only],
        ]}
        onChange={(which) => put(which === 'all' ? undefined : found.map(({ name }) => name))}
      />
      {only && found.length > 0 && (
        <ul class="ticks" aria-label={t.databases}>
          {all.map(({ name, bytes }) => (
            <li key={name}>
              <Check
                label={
                  <>
                    <code>{name}</code> {bytes !== undefined && <span class="mute">{size(bytes)}</span>}
                  </>
                }
                value={chosen.includes(name)}
                onChange={(on) => put(on ? [...chosen, name] : chosen.filter((one) => one !== name))}
              />
            </li>
          ))}
        </ul>
      )}
      {only && found.length === 0 && (
        <Lines
          label={fieldWords.value.databases}
          hint={fieldWords.value.databasesHint}
          values={chosen}
          onChange={put}
        />
      )}
    </fieldset>
  )
}
