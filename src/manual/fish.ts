import { generated, lister, short, valueOptions } from './shells.ts';
import { allCommands, type CommandSyntax, type ValueKind, type ValueSyntax } from './syntax.ts';

/** Completion for fish 3 and later. */
export function fishCompletion(root: CommandSyntax): string {
  const commands = allCommands(root);
  const known = commands.slice(1).map(({ path }) => word(path.join(' ')));
  return `${generated}

# The command that the words before the cursor name: "inband lab up".
function __inband_path
    set -l path inband
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
        else if contains -- $word ${valueOptions(root).join(' ')}
            set skip 1
        else if contains -- "$path $word" ${known.join(' ')}
            set path "$path $word"
        end
    end
    echo $path
end

function __inband_at
    test (__inband_path) = $argv[1]
end

complete -c inband -f
${commands.flatMap(lines).join('\n')}
`;
}

/** A word in single quotes, in which fish takes backslashes for itself. */
const word = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

function lines({ path, options, commands, arguments: list }: CommandSyntax): readonly string[] {
  const here = `complete -c inband -n ${word(`__inband_at ${word(path.join(' '))}`)}`;
  return [
    ...commands.map((below) => `${here} -a ${below.path.at(-1)} -d ${word(short(below.description))}`),
    ...options.map(({ long, short: letter, value, description }) => {
      const names = [`-l ${long.slice(2)}`, ...(letter === undefined ? [] : [`-s ${letter.slice(1)}`])];
      const words = value ? ['-r', offer(value)] : [];
      return [here, ...names, ...words, `-d ${word(short(description))}`].join(' ');
    }),
    ...list.map((argument) => `${here} ${offer(argument)}`),
  ];
}

/** The options of `complete` that say which words there are. */
function offer(value: ValueSyntax): string {
  const { choices, kind } = value;
  if (kind === 'file') return '-F';
  if (choices.length > 0) return `-f -a ${word(choices.join(' '))}`;
  const listed = lister(value) ?? own[kind];
  return listed === undefined ? '-f' : `-f -a ${word(`(${listed})`)}`;
}

/** Functions that come with fish. */
const own: Partial<Record<ValueKind, string>> = {
  directory: '__fish_complete_directories (commandline -ct)',
  user: '__fish_complete_users',
};
