import { effect, signal } from '@preact/signals'
import { remembered } from './remembered.ts'

export type Theme = 'system' | 'light' | 'dark'

const wanted = remembered('theme')
const known = wanted.read()

export const theme = signal<Theme>(known === 'light' || known === 'dark' ? known : 'system')

effect(() => {
  const chosen = theme.value
  wanted.write(chosen === 'system' ? undefined : chosen)
  if (chosen === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = chosen
})
