import { Command, CommanderError } from 'commander'
import { AppError, toAppError } from '../base/errors.ts'
import { VERSION } from '../base/version.ts'
import { COMMANDS, commandNamed, type CommandModule } from './commands.ts'
import { createContext, type Context, type GlobalOptions } from './context.ts'

const WITH_VALUE = ['--config', '--profile', '--server', '--token']

/** Runs one command; sets process.exitCode, and exits when something would keep the process. */
export async function runCommandLine(argv: string[]): Promise<void> {
  const cancel = new AbortController()
  const interrupted = (signal: NodeJS.Signals): void => {
    if (cancel.signal.aborted) process.exit(130)
    process.stderr.write(`\n${signal}: stopping; once more to stop at once\n`)
    cancel.abort(new AppError('run.cancelled', `cancelled by ${signal}`))
  }
  process.on('SIGINT', interrupted).on('SIGTERM', interrupted)
  // A reader that went away (`| head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

  const options = globalOptions(argv)
  const context = createContext(options, cancel.signal)
  let code: number
  try {
    code = await dispatch(argv, context)
  } catch (thrown) {
    const error = withCommand(toAppError(thrown), argv)
    context.out.error(error)
    if (error.code === 'internal.bug' && process.env['HOLDFAST_DEBUG']) console.error(thrown)
    code = error.exit
  }
  await context.close().catch((error: unknown) => context.out.error(toAppError(error)))
  // stdout may be a pipe that is written to in the background.
  await new Promise<void>((resolve) => process.stdout.write('', () => resolve()))
  process.exit(code)
}

async function dispatch(argv: string[], context: Context): Promise<number> {
  const program = base(new Command())
  // A container says by its environment what it is for.
  const mode = context.env['HOLDFAST_MODE']
  if (mode && commandIn(argv) === undefined && argv.length === 0) argv.push(...wordsOfMode(mode))
  const name = commandIn(argv)
  const known = name === undefined ? undefined : commandNamed(name)
  if (context.options.server !== undefined) return throughServer(program, argv, context, name)
  const modules: CommandModule[] = known
    ? [await known.load()]
    : await Promise.all(COMMANDS.map(async ({ load }) => load()))
  for (const { register } of modules) register(program, context)
  quiet(program)
  if (
    name === undefined &&
    argv.every((word) => word.startsWith('-') && !['-h', '--help', '-V', '--version'].includes(word))
  ) {
    program.outputHelp()
    return 2
  }
  return parse(program, argv, context, known?.name)
}

/** Commands tell their errors by throwing. */
function quiet(program: Command): void {
  for (const command of program.commands) {
    command.exitOverride().configureOutput({ outputError: () => {} })
    for (const sub of command.commands) sub.exitOverride().configureOutput({ outputError: () => {} })
  }
}

async function parse(program: Command, argv: string[], context: Context, name = ''): Promise<number> {
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return 0
    throw new AppError('usage.invalid', error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' '), {
      hint: `See \`holdfast ${name === '' ? '' : `${name} `}--help\`.`,
    })
  }
  return context.exitCode
}

/** The same words, done by a server. */
async function throughServer(program: Command, argv: string[], context: Context, name = ''): Promise<number> {
  const { registerRemote, REMOTE } = await import('./remote/index.ts')
  registerRemote(program, context)
  quiet(program)
  if (!REMOTE.includes(commandNamed(name)?.name ?? name))
    throw new AppError('usage.invalid', `${name || 'this'} works on the machine itself, not through --server`, {
      hint: `Through a server there are: ${REMOTE.join(', ')}.`,
    })
  return parse(program, argv, context, name)
}

function wordsOfMode(mode: string): string[] {
  const words: Record<string, string[]> = {
    all: ['server'],
    server: ['server', '--only', 'http'],
    scheduler: ['scheduler'],
    worker: ['worker'],
    once: ['backup'],
  }
  const found = words[mode]
  if (found !== undefined) return found
  throw new AppError('usage.invalid', `HOLDFAST_MODE is ${JSON.stringify(mode)}`, {
    hint: `Use one of ${Object.keys(words).join(', ')}.`,
  })
}

function base(program: Command): Command {
  return program
    .name('holdfast')
    .description('Backs up files and databases, and proves that what it stored restores.')
    .version(`holdfast ${VERSION}`, '-V, --version')
    .option('--config <file>', 'configuration file (also HOLDFAST_CONFIG)')
    .option('--profile <name>', 'profile of the configuration (also HOLDFAST_PROFILE)')
    .option('--json', 'results as JSON on stdout')
    .option('-v, --verbose', 'say more')
    .option('-q, --quiet', 'say nothing but results and errors')
    .option('-n, --dry-run', 'say what would be done, and do not do it')
    .option('--server <url>', 'work through the API of a server')
    .option('--token <token>', 'API token')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: () => {} })
}

/** The table of errors does not know which command was asked for. */
function withCommand(error: AppError, argv: readonly string[]): AppError {
  const name = commandIn(argv)
  if (name === undefined || !error.hint.includes('holdfast COMMAND')) return error
  const { code, message, cause, details } = error
  return new AppError(code, message, { cause, details, hint: error.hint.replace('COMMAND', name) })
}

/** The first word that is no option: the command. */
function commandIn(argv: readonly string[]): string | undefined {
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] as string
    if (!word.startsWith('-')) return word
    if (WITH_VALUE.includes(word)) at += 1
  }
  return undefined
}

/** Global options may stand anywhere before `--`: they are taken out of the words, the rest is the command's. */
function globalOptions(argv: string[]): GlobalOptions {
  const options: GlobalOptions = {}
  const flags: Record<string, 'json' | 'verbose' | 'quiet' | 'dryRun'> = {
    '--json': 'json',
    '-v': 'verbose',
    '--verbose': 'verbose',
    '-q': 'quiet',
    '--quiet': 'quiet',
    '-n': 'dryRun',
    '--dry-run': 'dryRun',
  }
  const values: Record<string, 'config' | 'profile' | 'server' | 'token'> = {
    '--config': 'config',
    '--profile': 'profile',
    '--server': 'server',
    '--token': 'token',
  }
  for (let at = 0; at < argv.length && argv[at] !== '--';) {
    const word = argv[at] as string
    const flag = flags[word]
    const [head = '', inline] = word.split(/=(.*)/s)
    const key = values[head]
    if (flag !== undefined) {
      options[flag] = true
      argv.splice(at, 1)
    } else if (key !== undefined) {
      const value = inline ?? argv[at + 1]
      if (value === undefined) at += 1
      else {
        options[key] = value
        argv.splice(at, inline === undefined ? 2 : 1)
      }
    } else at += 1
  }
  return options
}
