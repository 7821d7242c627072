import { generated, lister, quote, short } from './shells.ts';
import { allCommands, type CommandSyntax, type OptionSyntax, type ValueSyntax } from './syntax.ts';

/** Completion for zsh 5 and later: a function to be found in `fpath` as `_inband`. */
export function zshCompletion(root: CommandSyntax): string {
  return `#compdef inband
${generated}

_inband_list() {
  local -a words
  words=(\${(f)"$(eval $1)"})
  compadd -a words
}

${allCommands(root).map(functionOf).join('\n\n')}

if [[ $funcstack[1] == _inband ]]; then
  _inband "$@"
else
  compdef _inband inband
fi
`;
}

const functionName = ({ path }: CommandSyntax): string => `_${path.join('_').replaceAll('-', '_')}`;

function functionOf(command: CommandSyntax): string {
  const { options, commands, arguments: list } = command;
  const specs = [
    ...options.map(optionSpec),
    ...list.map((argument, i) =>
      quote(
        `${argument.repeated ? '*' : `${i + 1}${argument.required ? '' : ':'}`}:${label(argument.name)}:${action(argument)}`,
      ),
    ),
  ];
  if (commands.length === 0)
    return `${functionName(command)}() {\n  _arguments -S \\\n    ${specs.join(' \\\n    ')}\n}`;
  return `${functionName(command)}() {
  local context state state_descr line
  local -A opt_args
  _arguments -S -C \\
    ${[...specs, quote('1: :->command'), quote('*:: :->rest')].join(' \\\n    ')}
  case $state in
    command)
      local -a commands=(
${commands.map((below) => `        ${quote(`${below.path.at(-1)}:${short(below.description)}`)}`).join('\n')}
      )
      _describe command commands
      ;;
    rest)
      case $line[1] in
${commands.map((below) => `        ${below.path.at(-1)}) ${functionName(below)} ;;`).join('\n')}
      esac
      ;;
  esac
}`;
}

/** `_arguments` takes colons and brackets for itself. */
const label = (text: string): string => text.replaceAll(/[:[\]]/g, '\\$&');

function optionSpec({ long, value, description }: OptionSyntax): string {
  const end = value ? `:${label(value.name)}:${action(value)}` : '';
  return quote(`*${long}[${label(short(description))}]${end}`);
}

/** What offers the values. */
function action(value: ValueSyntax): string {
  if (value.choices.length > 0) return `(${value.choices.join(' ')})`;
  const listed = lister(value);
  if (listed !== undefined) return `{_inband_list ${JSON.stringify(listed)}}`;
  if (value.kind === 'file') return '_files';
  if (value.kind === 'directory') return '_files -/';
  return value.kind === 'user' ? '_users' : ' ';
}
