#!/usr/bin/env node
/** The command line. Only the module of the command that was asked for is loaded. */
import { VERSION } from '../base/version.ts'

if (process.argv.length === 3 && (process.argv[2] === '--version' || process.argv[2] === '-V')) {
  console.log(`holdfast ${VERSION}`)
} else {
  const { runCommandLine } = await import('./run.ts')
  await runCommandLine(process.argv.slice(2))
}
