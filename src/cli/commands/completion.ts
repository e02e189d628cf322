import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { COMMANDS } from '../commands.ts'
import type { Context } from '../context.ts'

/** The words that a shell may offer, from the commands themselves. */
export function register(program: Command, context: Context): void {
  program
    .command('completion')
    .description('a completion script for bash, zsh or fish')
    .argument('<shell>', 'bash, zsh or fish')
    .action(async (shell: string) => {
      const { Command: Root } = await import('commander')
      const root = new Root()
      for (const { load } of COMMANDS) (await load()).register(root, context)
      const words = new Map(root.commands.map((command) => [command.name(), wordsOf(command)]))
      const script = { bash, zsh, fish }[shell as 'bash']
      if (script === undefined)
        throw new AppError('usage.invalid', `there is no completion for ${shell}`, { hint: 'Use bash, zsh or fish.' })
      const text = script(words)
      context.out.result({ shell, script: text }, () => text.trimEnd())
    })
}

const GLOBAL = ['--config', '--profile', '--json', '--verbose', '--quiet', '--dry-run', '--help']

function wordsOf(command: Command): string[] {
  return [
    ...command.commands.map((sub) => sub.name()),
    ...command.options.flatMap(({ long }) => long ?? []),
    ...command.commands.flatMap((sub) => sub.options.flatMap(({ long }) => long ?? [])),
    ...GLOBAL,
  ]
}

function bash(words: Map<string, string[]>): string {
  const cases = [...words].map(([name, list]) => `    ${name}) words="${list.join(' ')}" ;;`).join('\n')
  return `# holdfast completion for bash: source <(holdfast completion bash)
_holdfast() {
  local current=\${COMP_WORDS[COMP_CWORD]} command= word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do case $word in -*) ;; *) command=$word; break ;; esac; done
  case $command in
${cases}
    *) words="${[...words.keys(), ...GLOBAL].join(' ')}" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _holdfast holdfast
`
}

function zsh(words: Map<string, string[]>): string {
  return `#compdef holdfast
# holdfast completion for zsh: source <(holdfast completion zsh)
autoload -U +X bashcompinit && bashcompinit
${bash(words).split('\n').slice(1).join('\n')}`
}

function fish(words: Map<string, string[]>): string {
  const lines = [
    '# holdfast completion for fish: holdfast completion fish | source',
    `complete -c holdfast -n __fish_use_subcommand -a '${[...words.keys()].join(' ')}'`,
  ]
  for (const [name, list] of words)
    lines.push(`complete -c holdfast -n '__fish_seen_subcommand_from ${name}' -a '${list.join(' ')}'`)
  return `${lines.join('\n')}\n`
}
