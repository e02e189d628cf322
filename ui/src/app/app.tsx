/** Whether somebody is signed in decides what is shown. */
import { useSignal } from '@preact/signals'
import type { ComponentType } from 'preact'
import { useEffect } from 'preact/hooks'
import { type Answer, api, type ApiError, me, problemOf } from './api.ts'
import { CurrentPage } from './page.tsx'
import { Shell } from './shell.tsx'
import { Failure, Wait } from '../parts/notice.tsx'

export type Setup = Answer<'GET /api/v1/setup'>

interface Doors {
  SignIn: ComponentType<{ setup: Setup }>
  FirstAccount: ComponentType<{ setup: Setup }>
}

export function App() {
  const setup = useSignal<Setup | undefined>(undefined)
  const doors = useSignal<Doors | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)

  const ask = async (): Promise<void> => {
    error.value = undefined
    try {
      me.value = (await api.call('GET /api/v1/session')).data
    } catch (thrown) {
      const problem = problemOf(thrown)
      if (problem.status === 401) me.value = null
      else error.value = problem
    }
  }
  const out = me.value === null
  useEffect(() => {
    if (me.peek() === undefined) void ask()
    if (!out) return
    setup.value = undefined
    Promise.all([api.call('GET /api/v1/setup'), import('../pages/door/door.tsx')]).then(
      ([{ data }, loaded]) => {
        doors.value = loaded
        setup.value = data
      },
      (thrown: unknown) => {
        error.value = problemOf(thrown)
      },
    )
  }, [out])

  if (me.value)
    return (
      <Shell>
        <CurrentPage />
      </Shell>
    )
  if (error.value !== undefined)
    return (
      <main class="main">
        <Failure error={error.value} retry={() => window.location.reload()} />
      </main>
    )
  if (setup.value !== undefined && doors.value !== undefined) {
    const { SignIn, FirstAccount } = doors.value
    return setup.value.needed ? <FirstAccount setup={setup.value} /> : <SignIn setup={setup.value} />
  }
  return (
    <main class="main">
      <Wait lines={6} />
    </main>
  )
}
