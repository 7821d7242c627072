import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { InbandError } from '../errors.ts';
import { searchPath } from './requirements.ts';

/** Longer output of a command is cut; a lab's commands print a few lines. */
const outputBytesMax = 16 * 1024 * 1024;
/** What a failed command said is cut to this length in the error. */
const reasonCharsMax = 300;

/** The command line that runs `argv` in a namespace. `ip netns exec` would hide bpffs by mounting /sys anew. */
export const inNetns = (netns: string, argv: readonly string[]): string[] => [
  'nsenter',
  `--net=/run/netns/${netns}`,
  '--',
  ...argv,
];

/** Starts a command; `argv` is no shell's. */
export function start(argv: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn(argv[0]!, argv.slice(1), { ...options, env: { ...process.env, PATH: searchPath } });
}

/** What a command needs besides its arguments. `holds` is kept open in the command for as long as it runs. */
export interface RunOptions {
  input?: string;
  holds?: Writable | undefined;
}

/**
 * Runs a command to its end and returns what it printed on standard output.
 * @throws InbandError `ENVIRONMENT` with what it said on standard error when it cannot start or fails.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const child = start(argv, { stdio: ['pipe', 'pipe', 'pipe', ...(options.holds ? [options.holds] : [])] });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]!.setEncoding('utf8').on('data', (text: string) => {
      if (texts[name].length < outputBytesMax) texts[name] += text;
    });
  }
  // A command may end without reading its input; its exit status says what happened.
  child.stdin!.on('error', () => {}).end(options.input ?? '');
  const status = await new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  if (status === 0) return texts.stdout;
  const reason =
    texts.stderr
      .trim()
      .replaceAll(/\s*\n\s*/g, '; ')
      .slice(0, reasonCharsMax) || `it ended with ${status}`;
  throw new InbandError('ENVIRONMENT', `${argv.join(' ')}: ${reason}`);
}
