/** After the first account: a vault, the kit that opens it when all else is lost, and the first job. */
import { useSignal } from '@preact/signals'
import { count, words } from '../../app/language.ts'
import { go, pathOf, place, to } from '../../app/router.ts'
import type { Definition } from '../../forms/definition.ts'
import { Check } from '../../parts/form.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Empty } from '../../parts/notice.tsx'
import { Head, Panel } from '../../parts/page.tsx'
import { NewVault } from '../wizard/vaults-step.tsx'
import { api } from '../../app/api.ts'
import { useLoad } from '../../app/load.ts'
import { saveText } from '../../app/save-text.ts'
import { kitOf } from './kit.ts'
import '../wizard/wizard.css'

const STEPS = ['vault', 'kit', 'job'] as const
type Step = (typeof STEPS)[number]
/** Counted no further. */
const MOST = 250

const text = words({
  en: {
    title: 'Set-up',
    sub: 'Three things, and the first backup can run.',
    steps: { vault: 'A place', kit: 'The kit', job: 'The first job' } satisfies Record<Step, string>,
    vault:
      'Where should backups lie? A folder is enough to begin; a bucket elsewhere survives this machine. A place that has backups already, also of restic, is adopted.',
    kitTitle: 'Keep the recovery kit',
    kit: 'If this server is gone, the kit opens your backups: the address, the password, and the exact commands. Print it, or put it into a password safe – not beside the backups.',
    download: 'Download the kit',
    kept: 'I keep it where this machine is not',
    next: 'Go on',
    skip: 'Later',
    jobTitle: 'All is ready',
    job: 'Say what to keep, and how often.',
    create: 'Make the first job',
    look: 'To the overview',
    adopted: 'What was there already is adopted',
    adoptedText: (vault: string, n: number) =>
      `${vault} has ${count(n, 'backup', 'backups')}${n === MOST ? ' or more' : ''}. They can be searched, checked and restored now; a job that goes on with them sends only what is new.`,
    seeVault: 'See the backups',
  },
  de: {
    title: 'Einrichtung',
    sub: 'Drei Dinge, dann kann die erste Sicherung laufen.',
    steps: { vault: 'Ein Ort', kit: 'Das Notfallblatt', job: 'Der erste Auftrag' },
    vault:
      'Wo sollen Sicherungen liegen? Ein Ordner genügt für den Anfang; ein Bucket anderswo überlebt diesen Rechner. Ein Ort, der schon Sicherungen hat, auch von restic, wird übernommen.',
    kitTitle: 'Bewahren Sie das Notfallblatt auf',
    kit: 'Ist dieser Server weg, öffnet das Blatt Ihre Sicherungen: Adresse, Passwort und die genauen Befehle. Drucken Sie es, oder legen Sie es in einen Passwort-Tresor – nicht neben die Sicherungen.',
    download: 'Notfallblatt herunterladen',
    kept: 'Ich bewahre es auf, wo dieser Rechner nicht ist',
    next: 'Weiter',
    skip: 'Später',
    jobTitle: 'Alles ist bereit',
    job: 'Sagen Sie, was gesichert werden soll und wie oft.',
    create: 'Ersten Auftrag anlegen',
    look: 'Zur Übersicht',
    adopted: 'Was schon da war, ist übernommen',
    adoptedText: (vault: string, n: number) =>
      `${vault} hat ${count(n, 'Sicherung', 'Sicherungen')}${n === MOST ? ' oder mehr' : ''}. Sie lassen sich jetzt durchsuchen, prüfen und wiederherstellen; ein Auftrag, der sie fortsetzt, schickt nur Neues.`,
    seeVault: 'Zu den Sicherungen',
  },
})

export function Page() {
  const t = text.value
  const step = STEPS.find((one) => one === place.value.query.get('step')) ?? 'vault'
  const made = useSignal<{ name: string; definition: Definition } | undefined>(undefined)
  const kept = useSignal(false)
  const at = STEPS.indexOf(step)
  const goTo = (one: Step): void => go(to('/setup', { step: one }))
  return (
    <>
      <Head title={t.title} sub={t.sub} />
      <ol class="steps">
        {STEPS.map((one, n) => (
          <li key={one} class={n < at ? 'done' : ''}>
            <a href={to('/setup', { step: one })} aria-current={one === step ? 'step' : undefined}>
              <span aria-hidden="true">{n < at ? '✓' : n + 1}</span>
              {t.steps[one]}
            </a>
          </li>
        ))}
      </ol>
      <div class="step stack">
        {step === 'vault' && (
          <>
            <p class="soft">{t.vault}</p>
            <NewVault
              onMade={(name, definition) => {
                made.value = { name, definition }
                goTo('kit')
              }}
            />
            <div>
              <button type="button" class="btn quiet" onClick={() => goTo('job')}>
                {t.skip}
              </button>
            </div>
          </>
        )}
        {step === 'kit' && (
          <Panel title={t.kitTitle} pad>
            <div class="stack narrow">
              <p class="soft">{t.kit}</p>
              <div>
                <button
                  type="button"
                  class="btn"
                  disabled={made.value === undefined}
                  onClick={() => {
                    if (made.value !== undefined)
                      saveText(
                        'holdfast-recovery-kit.txt',
                        kitOf(made.value.name, made.value.definition, { host: window.location.host, made: new Date() }),
                      )
                  }}
                >
                  <Icon name="down" size={15} />
                  {t.download}
                </button>
              </div>
              <Check label={t.kept} value={kept.value} onChange={(on) => (kept.value = on)} />
              <div class="row">
                <button type="button" class="btn primary" disabled={!kept.value} onClick={() => goTo('job')}>
                  {t.next}
                </button>
                <button type="button" class="btn quiet" onClick={() => goTo('job')}>
                  {t.skip}
                </button>
              </div>
            </div>
          </Panel>
        )}
        {step === 'job' && made.value !== undefined && <Adopted vault={made.value.name} />}
        {step === 'job' && (
          <Panel label={t.jobTitle}>
            <Empty
              icon="backups"
              title={t.jobTitle}
              action={
                <div class="row">
                  <a class="btn primary" href={to('/backups/new')}>
                    {t.create}
                  </a>
                  <a class="btn" href={to('/')}>
                    {t.look}
                  </a>
                </div>
              }
            >
              {t.job}
            </Empty>
          </Panel>
        )}
      </div>
    </>
  )
}

/** Backups that lay in the new vault already. */
function Adopted({ vault }: { vault: string }) {
  const t = text.value
  const found = useLoad(
    async (signal) => api.call('GET /api/v1/backups', { query: { vault, limit: MOST }, signal }),
    [vault],
  )
  const known = found.data?.items.length ?? 0
  if (known === 0) return null
  return (
    <Panel title={t.adopted} pad>
      <div class="stack">
        <p class="soft">{t.adoptedText(vault, known)}</p>
        <div>
          <a class="btn" href={to(pathOf('vaults', vault))}>
            {t.seeVault}
          </a>
        </div>
      </div>
    </Panel>
  )
}
