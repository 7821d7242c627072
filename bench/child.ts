import { spawn } from 'node:child_process';

/** What a child process cost. */
export interface Cost {
  readonly wallS: number;
  /** User and system time together. */
  readonly cpuS: number;
  /** Largest resident size. */
  readonly rssMb: number;
}

/** Runs a program without its output; undefined when the program, or GNU time that measures it, is not installed. */
export async function measure(program: string, args: readonly string[]): Promise<Cost | undefined> {
  const start = performance.now();
  const { code, stderr } = await exec('/usr/bin/time', ['-f', '\n%U %S %M', program, ...args]);
  const wallS = (performance.now() - start) / 1e3;
  if (code === 127 || code === null) return undefined;
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${stderr.trim().slice(-300)}`);
  const [userS, systemS, rssKb] = stderr.trim().split('\n').at(-1)!.split(' ').map(Number);
  return { wallS, cpuS: userS! + systemS!, rssMb: rssKb! / 1024 };
}

/** Runs a script of the benches in a process of its own, with its own compiled code and heap, and parses what it prints. */
export async function runScript<T>(script: string, args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await exec(process.execPath, [script, ...args], true);
  if (code !== 0) throw new Error(`${script} ended with ${code}: ${stderr.trim()}`);
  return JSON.parse(stdout) as T;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function exec(program: string, args: readonly string[], keep = false): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', keep ? 'pipe' : 'ignore', 'pipe'] });
    const text = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream]?.setEncoding('utf8').on('data', (part: string) => {
        text[stream] += part;
      });
    }
    child.on('error', () => resolve({ code: null, ...text }));
    child.on('close', (code) => resolve({ code, ...text }));
  });
}
