import { spawn } from 'node:child_process';
import type { ReplayResult } from '../../src/datapath/replay/result.ts';

/** The built command. */
export const main = new URL('../../dist/cli/main.js', import.meta.url).pathname;
/** Far more than any of these takes: what runs longer hangs. */
export const hangMs = 20_000;

export const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url).pathname;

export interface Outcome {
  /** Exit code; null if it was killed, as when it hangs. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `inband` with these arguments to its end. */
export function inband(args: readonly string[], input?: Uint8Array): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { timeout: hangMs });
    const outcome: Outcome = { code: null, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => (outcome.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (outcome.stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ ...outcome, code }));
    // It may exit without reading all of its input.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** The result of `inband replay --json` with these arguments, which must succeed in silence. */
export async function replayJson(...args: string[]): Promise<ReplayResult> {
  const { code, stdout, stderr } = await inband(['replay', '--json', ...args]);
  if (code !== 0 || stderr !== '') throw new Error(`exit ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

/** What an error looks like: one line, perhaps one with a hint, and nothing else. */
export const errorPattern = /^inband: [^\n]+ \[[A-Z_]+\]\n(hint: [^\n]+\n)?$/;
