import type { Command, Option } from 'commander';

/** What a value is, for shells to offer some and for man pages to name it. */
export type ValueKind = 'file' | 'directory' | 'interface' | 'user' | 'backend' | 'vip' | 'text';

export interface ValueSyntax {
  /** As the help shows it: `FILE`, `ADDR:PORT/PROTO`. */
  readonly name: string;
  readonly kind: ValueKind;
  /** The only values that are allowed; empty where there is no such list. */
  readonly choices: readonly string[];
}

export interface OptionSyntax {
  /** `--json`, and `-h` where there is a short form. */
  readonly long: string;
  readonly short: string | undefined;
  readonly value: ValueSyntax | undefined;
  readonly description: string;
  /** Value when the option is not given, for people; undefined where the description says it or there is none. */
  readonly otherwise: string | undefined;
}

export interface ArgumentSyntax extends ValueSyntax {
  readonly required: boolean;
  readonly repeated: boolean;
  readonly description: string;
}

/** A command of `inband`, as the definitions of the command line have it. */
export interface CommandSyntax {
  /** `inband`, then the names of the command: `inband lab up`. */
  readonly path: readonly string[];
  readonly description: string;
  readonly options: readonly OptionSyntax[];
  readonly arguments: readonly ArgumentSyntax[];
  readonly commands: readonly CommandSyntax[];
  /** What the help says after the options. */
  readonly notes: string;
}

/** Reads the definitions of a command and of all below it. */
export function syntaxOf(command: Command, above: readonly string[] = []): CommandSyntax {
  const path = [...above, command.name()];
  const options = command.options.filter(({ hidden }) => !hidden);
  const has = (name: string) => options.some(({ long }) => long === name);
  // The daemon itself has the socket, too, and an interface besides.
  const asksDaemon = has('--socket') && !has('--interface');
  const help: OptionSyntax = {
    long: '--help',
    short: '-h',
    value: undefined,
    description: 'show what the command takes',
    otherwise: undefined,
  };
  return {
    path,
    description: command.description(),
    options: [...options.map((option) => optionSyntax(option, asksDaemon)), help],
    arguments: command.registeredArguments.map((argument) => ({
      ...valueSyntax(argument.name(), argument.name(), argument.argChoices, asksDaemon),
      required: argument.required,
      repeated: argument.variadic,
      description: argument.description,
    })),
    commands: command.commands.map((below) => syntaxOf(below, path)),
    notes: notesOf(command),
  };
}

/** Every command, depth first. */
export const allCommands = (command: CommandSyntax): readonly CommandSyntax[] => [
  command,
  ...command.commands.flatMap(allCommands),
];

function optionSyntax(option: Option, asksDaemon: boolean): OptionSyntax {
  const metavar = /[<[](.+)[\]>]$/.exec(option.flags)?.[1];
  const isShown = option.defaultValue !== undefined && option.defaultValue !== false && metavar;
  return {
    long: option.long!,
    short: option.short,
    value: metavar ? valueSyntax(option.long!.slice(2), metavar, option.argChoices, asksDaemon) : undefined,
    description: option.description,
    otherwise: option.defaultValueDescription ?? (isShown ? written(option.defaultValue) : undefined),
  };
}

/** A default for people; an empty list is none. */
function written(value: unknown): string | undefined {
  if (Array.isArray(value) && value.length === 0) return undefined;
  return String(value);
}

function valueSyntax(
  of: string,
  name: string,
  choices: readonly string[] | undefined,
  asksDaemon: boolean,
): ValueSyntax {
  return { name, kind: kindOf(of.toLowerCase(), name.toLowerCase(), asksDaemon), choices: choices ?? [] };
}

/** What a value is, by the name of its option or argument and by its metavar. */
function kindOf(of: string, metavar: string, asksDaemon: boolean): ValueKind {
  if (of === 'interface' || of === 'user') return of;
  // Only a running daemon knows which there are.
  if (of === 'backend' || of === 'vip') return asksDaemon ? of : 'text';
  if (/^dir/.test(metavar)) return 'directory';
  return /^(file|path|scenario|old|new)/.test(metavar) ? 'file' : 'text';
}

/** What was added to the help: commander gives it only as part of the whole. */
function notesOf(command: Command): string {
  let whole = '';
  const before = command.configureOutput();
  command.configureOutput({ ...before, writeOut: (text) => (whole += text) });
  command.outputHelp();
  command.configureOutput(before);
  return whole.slice(command.helpInformation().length).trim();
}
