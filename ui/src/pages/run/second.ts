import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { now } from '../../format/time.ts'

/** Shows time going by each second, while it does. */
export function useSecond(going: boolean): void {
  const tick = useSignal(0)
  useEffect(() => {
    if (!going) return undefined
    const timer = setInterval(() => {
      now.value = Date.now()
      tick.value += 1
    }, 1000)
    return () => clearInterval(timer)
  }, [going])
}
