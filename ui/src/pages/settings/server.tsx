import { useSignal } from '@preact/signals'
import { api } from '../../app/api.ts'
import { words } from '../../app/language.ts'
import { useLoad } from '../../app/load.ts'
import { Icon } from '../../parts/icon.tsx'
import { Panel, Shown } from '../../parts/page.tsx'
import { Twin } from '../../parts/twin.tsx'
import { Frame } from './frame.tsx'

const text = words({
  en: {
    title: 'Settings of the server',
    about: 'Read at the start; each with where it comes from. They are changed in the file or the environment.',
    find: 'Filter',
    key: 'Setting',
    value: 'Value',
    origin: 'From',
    export: 'Everything as YAML',
    files: 'Files',
  },
  de: {
    title: 'Einstellungen des Servers',
    about: 'Beim Start gelesen; jede mit ihrer Herkunft. Geändert werden sie in der Datei oder der Umgebung.',
    find: 'Filtern',
    key: 'Einstellung',
    value: 'Wert',
    origin: 'Woher',
    export: 'Alles als YAML',
    files: 'Dateien',
  },
})

export function Page() {
  const t = text.value
  const filter = useSignal('')
  const settings = useLoad(async (signal) => api.call('GET /api/v1/settings', { signal }), [])
  return (
    <Frame
      tab="server"
      actions={
        <a class="btn" href={api.url('GET /api/v1/export', { query: { format: 'yaml' } })} download="holdfast.yaml">
          <Icon name="down" size={15} />
          {t.export}
        </a>
      }
    >
      <p class="soft spaced">{t.about}</p>
      <div class="filters">
        <input
          class="input"
          type="search"
          aria-label={t.find}
          placeholder={t.find}
          value={filter.value}
          onInput={(event) => (filter.value = event.currentTarget.value)}
        />
      </div>
      <Panel label={t.title}>
        <Shown of={settings}>
          {({ items, files }) => (
            <>
              <div class="scroll">
                <table>
                  <thead>
                    <tr>
                      <th>{t.key}</th>
                      <th>{t.value}</th>
                      <th class="hide-s">{t.origin}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {items
                      .filter(({ key }) => key.toLowerCase().includes(filter.value.trim().toLowerCase()))
                      .map(({ key, value, origin }) => (
                        <tr key={key}>
                          <td>
                            <code>{key}</code>
                          </td>
                          <td class="break">
                            <code>{typeof value === 'string' ? value : JSON.stringify(value)}</code>
                          </td>
                          <td class="hide-s soft">{origin}</td>
                        </tr>
                      ))}
                  </tbody>
                </table>
              </div>
              {files.length > 0 && (
                <p class="more soft small">
                  {t.files}:{' '}
                  {files.map((file) => (
                    <code key={file}>{file} </code>
                  ))}
                </p>
              )}
            </>
          )}
        </Shown>
      </Panel>
      <Twin cli="holdfast config show --origin" http="GET /api/v1/settings" />
    </Frame>
  )
}
