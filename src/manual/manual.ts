import type { Command } from 'commander';
import { bashCompletion } from './bash.ts';
import { commandPage, mainPage, pageName } from './command-pages.ts';
import { configPage } from './config-page.ts';
import { daemonPage } from './daemon-page.ts';
import { fishCompletion } from './fish.ts';
import { type CommandSyntax, syntaxOf } from './syntax.ts';
import { zshCompletion } from './zsh.ts';

/** What completes `inband` in each shell. */
export const completions = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
} as const satisfies Record<string, (root: CommandSyntax) => string>;

export type Shell = keyof typeof completions;
export const shells = Object.keys(completions) as Shell[];

/** Names under which shells look for completions of a command. */
const completionNames: Record<Shell, string> = { bash: 'inband', zsh: '_inband', fish: 'inband.fish' };

/** Every man page and completion by its path in the repository, made from the definitions of the command line. */
export function manualFiles(program: Command): Readonly<Record<string, string>> {
  const root = syntaxOf(program);
  const pages = root.commands.map((command) => [`docs/man/${pageName(command)}.1`, commandPage(command)]);
  const scripts = shells.map((shell) => [
    `config/completions/${completionNames[shell]}`,
    completions[shell](root),
  ]);
  return Object.fromEntries([
    ['docs/man/inband.1', mainPage(root)],
    ...pages,
    ['docs/man/inband.yaml.5', configPage()],
    ['docs/man/inband.8', daemonPage(root)],
    ...scripts,
  ]);
}
