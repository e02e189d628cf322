/** After the first account: a vault, the kit that opens it when all else is lost, and the first job. */
import { useSignal } from '@preact/signals'
import { words } from '../../app/language.ts'
import { go, place, to } from '../../app/router.ts'
import type { Definition } from '../../forms/definition.ts'
import { Check } from '../../parts/form.tsx'
import { Icon } from '../../parts/icon.tsx'
import { Empty } from '../../parts/notice.tsx'
import { Head, Panel } from '../../parts/page.tsx'
import { NewVault } from '../wizard/vaults-step.tsx'
import { saveText } from '../../app/save-text.ts'
import { kitOf } from './kit.ts'
import '../wizard/wizard.css'

const STEPS = ['vault', 'kit', 'job'] as const
type Step = (typeof STEPS)[number]

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
