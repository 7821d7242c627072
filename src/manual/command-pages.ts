import { details } from './details.ts';
import { examples } from './examples.ts';
import { environmentPart, exitStatusPart, filesPart } from './parts.ts';
import {
  bold,
  heading,
  italic,
  literal,
  page,
  paragraph,
  plain,
  prose,
  seeAlso,
  subheading,
  tagged,
  title,
} from './roff.ts';
import type { ArgumentSyntax, CommandSyntax, OptionSyntax } from './syntax.ts';

/** Name of a command's page: `inband-lab` for `inband lab` and all below it. */
export const pageName = ({ path }: CommandSyntax): string => path.slice(0, 2).join('-');

/** The page inband(1), which leads to those of the commands. */
export function mainPage(root: CommandSyntax): string {
  return page(
    title('inband', 1),
    nameLine('inband', root.description),
    heading('Synopsis'),
    `${bold('inband')} ${italic('command')} [${italic('option')}]... [${italic('argument')}]...`,
    heading('Description'),
    prose(description),
    paragraph(
      'Each command has a page of its own: `inband run` is described in `inband-run`(1). `inband COMMAND --help` says the same in short.',
    ),
    heading('Commands'),
    ...root.commands.map((command) => tagged(`\\fB${plain(pageName(command))}\\fR(1)`, command.description)),
    heading('Options'),
    ...root.options.map(optionPart),
    exitStatusPart(),
    filesPart(),
    environmentPart(),
    examplePart(root),
    seeAlso(['inband(8)', 'inband.yaml(5)']),
  );
}

const description = `inband forwards packets of clients to servers in direct server return: servers answer clients themselves, and
answers never pass the load balancer. It measures each server's response latency all the same, from the timing and headers of
the clients' packets, and moves new flows away from slow servers.`;

/** The page of a command, with those below it. */
export function commandPage(command: CommandSyntax): string {
  const name = pageName(command);
  const hasBelow = command.commands.length > 0;
  return page(
    title(name, 1),
    nameLine(name, command.description),
    heading('Synopsis'),
    (hasBelow ? command.commands : [command]).map(synopsis).join('\n.br\n'),
    heading('Description'),
    prose(sentence(command.description)),
    ...(details[command.path.slice(1).join(' ')] ?? []).map(paragraph),
    ...notesPart(command),
    ...(hasBelow
      ? [
          heading('Commands'),
          ...command.commands.flatMap((below) => [
            subheading(below.path.slice(1).join(' ')),
            prose(sentence(below.description)),
            ...usageParts(below),
          ]),
        ]
      : [heading('Options'), ...usageParts(command)]),
    examplePart(command),
    seeAlso(['inband(1)', 'inband(8)', 'inband.yaml(5)']),
  );
}

const nameLine = (name: string, text: string): string =>
  [heading('Name'), `${plain(name)} \\- ${prose(text.replace(/\.$/, ''))}`].join('\n');

/** Descriptions in the help begin with a capital or not, and have no full stop. */
const sentence = (text: string): string => `${text[0]!.toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;

function notesPart({ notes }: CommandSyntax): readonly string[] {
  return notes === '' ? [] : notes.split(/\n{2,}/).map(paragraph);
}

function usageParts(command: CommandSyntax): readonly string[] {
  return [...command.arguments.map(argumentPart), ...command.options.map(optionPart)];
}

function synopsis({ path, arguments: list }: CommandSyntax): string {
  const words = list.map((argument) => {
    const word = `${italic(argument.name)}${argument.repeated ? '...' : ''}`;
    return argument.required ? word : `[${word}]`;
  });
  return [bold(path.join(' ')), `[${italic('option')}]...`, ...words].join(' ');
}

function argumentPart({ name, description, choices }: ArgumentSyntax): string {
  return tagged(italic(name), [sentenceOrNone(description), choicesText(choices)].filter(Boolean).join(' '));
}

function optionPart({ long, short, value, description, otherwise }: OptionSyntax): string {
  const names = [...(short === undefined ? [] : [bold(short)]), bold(long)].join(', ');
  const text = [
    sentenceOrNone(description),
    choicesText(value?.choices ?? []),
    otherwise === undefined ? '' : `Default: ${otherwise}.`,
  ];
  return tagged(value ? `${names} ${italic(value.name)}` : names, text.filter(Boolean).join(' '));
}

const sentenceOrNone = (text: string): string => (text === '' ? '' : sentence(text));
const choicesText = (choices: readonly string[]): string =>
  choices.length === 0 ? '' : `One of ${choices.map((choice) => `\`${choice}\``).join(', ')}.`;

function examplePart({ path }: CommandSyntax): string {
  const own = examples[path.slice(1).join(' ')] ?? [];
  if (own.length === 0) return '';
  return [heading('Examples'), ...own.flatMap(([what, command]) => [paragraph(what), literal(command)])].join(
    '\n',
  );
}
