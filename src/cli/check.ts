import { Command } from 'commander';
import type { Checked } from '../config/document.ts';
import { checkConfig } from '../config/load.ts';
import { countProblems, inOrder, isError, problemLines } from '../config/problems.ts';
import type { Settings } from '../config/settings.ts';
import { exitCode } from '../errors.ts';
import { formatCount, printable } from '../report/format.ts';

interface Flags {
  strict?: true;
  json?: true;
}

export function checkCommand(): Command {
  return new Command('check')
    .description('Check a configuration file: every mistake with its line and what would be right')
    .argument('<file>', 'configuration file (YAML)')
    .option('--strict', `exit with ${exitCode.warnings} if there is any warning`)
    .option('--json', 'print the result as one JSON object')
    .addHelpText(
      'after',
      `\nExit code: ${exitCode.ok} ok, ${exitCode.config} invalid, ${exitCode.warnings} warnings under --strict.`,
    )
    .action((file: string, { strict, json }: Flags) => {
      const checked = checkConfig(file);
      process.stdout.write(`${json ? JSON.stringify(toJson(file, checked)) : text(file, checked)}\n`);
      process.exitCode = codeOf(checked, strict === true);
    });
}

function codeOf({ problems }: Checked<Settings>, strict: boolean): number {
  if (problems.some(isError)) return exitCode.config;
  return strict && problems.length > 0 ? exitCode.warnings : exitCode.ok;
}

function text(file: string, { value, problems }: Checked<Settings>): string {
  const counts = problems.length === 0 ? '' : `${countProblems(problems)}`;
  const summary = value === undefined ? counts : ['ok', sizeText(value), counts].filter(Boolean).join(', ');
  return [...problemLines(problems), `${file}: ${summary}`].map(printable).join('\n');
}

function sizeText({ vips }: Settings): string {
  const count = (number: number, what: string) => `${formatCount(number)} ${what}${number === 1 ? '' : 's'}`;
  return `${count(vips.length, 'vip')}, ${count(backendCount(vips), 'backend')}`;
}

const backendCount = (vips: Settings['vips']): number =>
  new Set(vips.flatMap(({ backends }) => backends.map(({ name }) => name))).size;

const toJson = (file: string, { value, problems }: Checked<Settings>) => ({
  schema: 'inband.check/1',
  file,
  valid: value !== undefined,
  vips: value?.vips.length ?? null,
  backends: value ? backendCount(value.vips) : null,
  problems: inOrder(problems).map(({ severity, line, column, path, message }) => ({
    severity,
    line,
    column,
    path,
    message,
  })),
});
