import { allCommands, type CommandSyntax, type ValueSyntax } from './syntax.ts';

/** A description in one short line, for shells that show one beside a word. */
export function short(text: string): string {
  const line = text
    .replaceAll('`', '')
    .replaceAll(/ ?\(default: [^)]*\)/g, '')
    .replaceAll(/\s+/g, ' ')
    .split(/[;:] /)[0]!;
  return line.length <= 70 ? line : `${line.slice(0, line.lastIndexOf(' ', 67))} ...`;
}

/** A word in single quotes, as all three shells read it; fish alone takes a backslash within them for itself. */
export const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Options that a value follows, of any command. */
export const valueOptions = (root: CommandSyntax): readonly string[] => [
  ...new Set(
    allCommands(root).flatMap(({ options }) => options.filter(({ value }) => value).map(({ long }) => long)),
  ),
];

/** Prints, in any shell, what a running daemon knows of: the values of a key in its answer, each once. */
const known = (command: string, key: string): string =>
  `command inband ${command} --json 2>/dev/null | tr '{,' '\\n\\n' | sed -n 's/^"${key}":"\\([^"]*\\)".*/\\1/p' | sort -u`;

/** Commands that print the values of a kind, one a line; undefined where the shell has a way of its own, or nothing is offered. */
export function lister({ kind }: ValueSyntax): string | undefined {
  if (kind === 'interface') return 'ls /sys/class/net 2>/dev/null';
  if (kind === 'backend') return known('status', 'backend');
  return kind === 'vip' ? known('status', 'vip') : undefined;
}

export const generated =
  '# Made from the definitions of the command line by scripts/manual.mjs - do not edit';
