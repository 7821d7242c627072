import { spawnSync } from 'node:child_process';
import { findCommand } from '../lab/requirements.ts';

/** A command that hangs would hang its caller; those run here read or set something in the kernel. */
const commandMsMax = 5000;

/** The command line as a shell takes it, whatever the arguments hold. */
export const commandLine = (argv: readonly string[]): string => argv.map(quote).join(' ');

const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** The start of a command line that runs the rest in a network namespace that `ip netns` knows. */
export const inNamespace = (name: string | undefined): string[] =>
  name === undefined ? [] : ['nsenter', `--net=/run/netns/${name}`];

/** Runs a command without a shell; what it printed, or in one line why it failed. */
export function runCommand(argv: readonly string[]): { output: string } | { problem: string } {
  const path = findCommand(argv[0]!);
  if (path === undefined) return { problem: `${argv[0]} is not installed` };
  const { status, stdout, stderr, error } = spawnSync(path, argv.slice(1), {
    encoding: 'utf8',
    timeout: commandMsMax,
  });
  if (status === 0) return { output: stdout };
  return { problem: error?.message ?? (stderr.trim().split('\n')[0] || `it ended with ${status}`) };
}
