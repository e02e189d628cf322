import { useSignal } from '@preact/signals'
import { common } from './words.ts'
import { tell } from './toast.tsx'

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    tell('ok', common.value.copied)
  } catch {
    // Without a secure address there is no clipboard: the text can be selected by hand.
  }
}

/** The same by the command line, the API and the configuration. */
export function Twin({
  cli,
  http,
  yaml,
}: {
  cli?: string | undefined
  http?: string | undefined
  yaml?: string | undefined
}) {
  const open = useSignal(false)
  return (
    <section class="twin" aria-label={`${common.value.same} CLI, API`}>
      <div>
        <span>{common.value.same}</span>
        {[cli, http].map(
          (text) =>
            text !== undefined && (
              <button type="button" key={text} class="copy" title="Copy" onClick={() => void copy(text)}>
                <code>{text}</code>
              </button>
            ),
        )}
        {yaml !== undefined && (
          <button
            type="button"
            class="btn quiet s push"
            aria-expanded={open.value}
            onClick={() => (open.value = !open.value)}
          >
            YAML
          </button>
        )}
      </div>
      {open.value && yaml !== undefined && <pre tabIndex={0}>{yaml}</pre>}
    </section>
  )
}
