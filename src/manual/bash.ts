import { generated, lister, quote, valueOptions } from './shells.ts';
import { allCommands, type CommandSyntax, type ValueKind, type ValueSyntax } from './syntax.ts';

/** Completion for bash 4 and later; it needs nothing of the package bash-completion. */
export function bashCompletion(root: CommandSyntax): string {
  const commands = allCommands(root);
  const below = commands.filter((command) => command.commands.length > 0);
  return `${generated}

# The command that the words before the cursor name, in "path", and how many arguments follow it, in "place".
_inband_path() {
  local i word skip=
  path=inband place=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ -n $skip ]]; then
      skip=
      continue
    fi
    case $word in
${alternatives(valueOptions(root))} skip=1 ;;
      -*) ;;
      # Shells break words at these: a vip is several.
      : | =) skip=1 ;;
      *)
        case "$path $word" in
${alternatives(
  below.flatMap(({ path, commands: list }) =>
    list.map(({ path: own }) => quote([...path, own.at(-1)!].join(' '))),
  ),
  10,
)} path="$path $word" place=0 ;;
          *) place=$((place + 1)) ;;
        esac
        ;;
    esac
  done
}

_inband() {
  local path place IFS=$'\\n' cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  _inband_path
  case "$path $prev" in
${commands.flatMap((command) => command.options.flatMap(({ long, value }) => (value ? [branch(quote(`${command.path.join(' ')} ${long}`), value)] : []))).join('\n')}
  esac
  if [[ $cur == -* ]]; then
    case $path in
${commands.map(({ path, options }) => `      ${quote(path.join(' '))}) mapfile -t COMPREPLY < <(compgen -W $'${options.map(({ long }) => long).join('\\n')}' -- "$cur") ;;`).join('\n')}
    esac
    return
  fi
  case "$path $place" in
${commands.flatMap((command) => argumentBranches(command)).join('\n')}
  esac
}

complete -F _inband inband
`;
}

const alternatives = (words: readonly string[], indent = 6): string =>
  `${' '.repeat(indent)}${words.join(` | \\\n${' '.repeat(indent)}`)})`;

/** One branch for each argument of a command, or for the commands below it. */
function argumentBranches({ path, commands, arguments: list }: CommandSyntax): readonly string[] {
  const name = path.join(' ');
  if (commands.length > 0) {
    const words = commands.map((below) => below.path.at(-1)!).join('\\n');
    return [`    ${quote(`${name} 0`)}) mapfile -t COMPREPLY < <(compgen -W $'${words}' -- "$cur") ;;`];
  }
  return list.map((argument, i) =>
    branch(argument.repeated ? `${quote(`${name} `)}*` : quote(`${name} ${i}`), argument),
  );
}

function branch(pattern: string, value: ValueSyntax): string {
  const isPath = value.choices.length === 0 && (value.kind === 'file' || value.kind === 'directory');
  // Has bash put a slash behind a directory; it is an error outside of completion.
  const first = isPath ? 'compopt -o filenames 2>/dev/null; ' : '';
  return `    ${pattern}) ${first}mapfile -t COMPREPLY < <(${offer(value)}); return ;;`;
}

/** What prints the words to offer. */
function offer(value: ValueSyntax): string {
  if (value.choices.length > 0) return `compgen -W $'${value.choices.join('\\n')}' -- "$cur"`;
  const listed = lister(value);
  return listed === undefined ? (own[value.kind] ?? ':') : `compgen -W "$(${listed})" -- "$cur"`;
}

/** What bash lists itself. */
const own: Partial<Record<ValueKind, string>> = {
  file: 'compgen -f -- "$cur"',
  directory: 'compgen -d -- "$cur"',
  user: 'compgen -u -- "$cur"',
};
