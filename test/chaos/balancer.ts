import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ask, post } from '../../src/admin/client.ts';
import type { Status } from '../../src/daemon.ts';
import { lastWords } from '../../src/demo/daemon.ts';
import type { InbandError } from '../../src/errors.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { serverPort } from '../../src/lab/plan.ts';
import { labDirectory } from '../../src/lab/records.ts';
import { bpffs, bpffsUnavailable } from '../lab/bpffs.ts';

/** A daemon that has not made its first tick by then will not. */
const tickMsMax = 15_000;
const pollMs = 2;
const stopMsMax = 8_000;
const logLinesMax = 5_000;
const wordsMax = 8_192;

/** Where this package is; from its sources and from where the benches are compiled to. */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

export const monotonicNs = (): number => Number(process.hrtime.bigint());

const pinPrefix = 'inband-test-';

/** Removes pins of labs that are gone, as a process that was killed leaves them. */
function sweepPins(): void {
  for (const name of readdirSync(bpffs)) {
    if (!name.startsWith(pinPrefix) || existsSync(labDirectory(name.slice(pinPrefix.length)))) continue;
    rmSync(join(bpffs, name), { recursive: true, force: true });
  }
}

/** One line of the daemon's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event?: string };

/** A daemon's process while it runs and after. */
interface Running {
  readonly child: ChildProcess;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  words: string;
}

/** Moments of a start, on CLOCK_MONOTONIC in ns. */
export interface Start {
  readonly spawnedNs: number;
  /** When it was first seen to have made a tick of its control loop: at most a poll and an answer after that. */
  readonly tickedNs: number;
}

/**
 * Gives a daemon the priority over the load beside it that config/systemd/inband.service gives it by `CPUWeight` and
 * `Nice`. A process group of its own is what the scheduler weighs where groups are scheduled automatically.
 */
export const asService = [
  ...['sh', '-c', 'echo -15 2>/dev/null >/proc/self/autogroup; exec nice -n -15 "$0" "$@"'],
] as const;

export interface StartOptions {
  /** The root of another installation. */
  readonly installation?: string;
  readonly flags?: readonly string[];
  /** A command line that runs the daemon's. */
  readonly prefix?: readonly string[];
}

/**
 * `inband run` at the load balancer's place of a lab, with a configuration file, a state directory and pins of its own.
 * It can be killed and started again, and forwards meanwhile.
 */
export class Balancer {
  readonly lab: Lab;
  readonly directory = mkdtempSync(join(tmpdir(), 'inband-chaos-'));
  readonly socket = join(this.directory, 'inband.sock');
  readonly configFile = join(this.directory, 'inband.yaml');
  readonly state = join(this.directory, 'state');
  readonly pin: string;
  /** What the daemons so far have logged, the end of it. */
  readonly log: LogLine[] = [];
  /** Gets each line that they log. */
  onLog: (line: LogLine) => void = () => {};
  /** Gets what a daemon said that ended without having been asked to. */
  onDeath: (error: InbandError) => void = () => {};
  #running: Running | undefined;

  constructor(lab: Lab) {
    this.lab = lab;
    const problem = bpffsUnavailable();
    if (problem !== undefined) throw new Error(problem);
    this.pin = join(bpffs, `${pinPrefix}${lab.id}`);
    mkdirSync(this.state);
    sweepPins();
  }

  /** What is common to all configurations; `rest` has the pools, and what is not as here. */
  configure(rest: Readonly<Record<string, unknown>>): void {
    const document = {
      interface: this.lab.lb.interface,
      datapath: 'xdp',
      admin: { socket: this.socket },
      state: this.state,
      pin: this.pin,
      vips: [{ address: this.vip, pool: 'servers' }],
      ...rest,
    };
    writeFileSync(this.configFile, JSON.stringify(document, null, 2));
  }

  get vip(): string {
    return `${this.lab.vip}:${serverPort}/tcp`;
  }

  get pid(): number {
    return this.#running!.child.pid!;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /**
   * Starts it, and returns when its control loop runs.
   * @throws InbandError the daemon's own, or `ENVIRONMENT` when it does not get there in time
   */
  async start(options: StartOptions = {}): Promise<Start> {
    const spawnedNs = monotonicNs();
    const running = this.#spawn(options);
    this.#running = running;
    const giveUp = performance.now() + tickMsMax;
    for (;;) {
      const status = await this.status().catch(() => undefined);
      if (status?.pid === running.child.pid && status!.control.ticks > 0) break;
      const code = await Promise.race([running.ended, sleep(pollMs)]);
      if (code === undefined && performance.now() <= giveUp) continue;
      // It may have been ended from elsewhere, and another one be running.
      if (this.#running === running) await this.end('SIGKILL');
      throw lastWords(running.words || `no tick within ${tickMsMax} ms`);
    }
    void running.ended.then(() => {
      if (this.#running !== running) return;
      this.#running = undefined;
      this.onDeath(lastWords(running.words));
    });
    return { spawnedNs, tickedNs: monotonicNs() };
  }

  /** Runs one that is expected to end by itself, and is killed if it does not or `signal` says so. */
  async refused(
    options: StartOptions = {},
    signal = AbortSignal.timeout(tickMsMax),
  ): Promise<{ code: number | string; error: InbandError }> {
    const running = this.#spawn(options);
    signal.addEventListener('abort', () => running.child.kill('SIGKILL'));
    const code = await running.ended;
    return { code, error: lastWords(running.words) };
  }

  #spawn({ installation = packageRoot, flags = [], prefix = [] }: StartOptions): Running {
    const program = join(installation, 'dist/cli/main.js');
    const argv = [...prefix, process.execPath, program, 'run', '--config', this.configFile, ...flags];
    const child = this.lab.spawn(this.lab.lb, argv, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    const ended = new Promise<number | string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(signal ?? code ?? 'unknown'));
    });
    const running: Running = { child, ended, words: '' };
    createInterface({ input: child.stderr! }).on('line', (line) => {
      running.words = `${running.words}${line}\n`.slice(-wordsMax);
      if (line.startsWith('{')) this.#note(line);
    });
    return running;
  }

  #note(line: string): void {
    let parsed: LogLine;
    try {
      parsed = JSON.parse(line) as LogLine;
    } catch {
      // Cut by the death of who wrote it.
      return;
    }
    this.log.push(parsed);
    this.onLog(parsed);
    if (this.log.length > logLinesMax) this.log.splice(0, logLinesMax / 2);
  }

  /** Ends it by a signal and waits for that; returns when the signal was sent, on CLOCK_MONOTONIC in ns. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    const running = this.#running;
    if (!running) return monotonicNs();
    this.#running = undefined;
    const sentNs = monotonicNs();
    running.child.kill(signal);
    const patience = setTimeout(() => running.child.kill('SIGKILL'), stopMsMax);
    await running.ended;
    clearTimeout(patience);
    return sentNs;
  }

  /** Sends it a signal that does not end it. */
  signal(signal: 'SIGHUP' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#running?.child.kill(signal);
  }

  status(): Promise<Status> {
    return ask<Status>(this.socket, '/status');
  }

  get<T>(path: string): Promise<T> {
    return ask<T>(this.socket, path);
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return post<T>(this.socket, path, body);
  }

  /** A command of the same installation, in the load balancer's namespace; returns what it prints. */
  command(...argv: readonly string[]): Promise<string> {
    return this.lab.exec(this.lab.lb, [process.execPath, join(packageRoot, 'dist/cli/main.js'), ...argv]);
  }

  /** Takes down what an ended daemon left: its datapath and what it was told. */
  forget(): void {
    rmSync(this.pin, { recursive: true, force: true });
    rmSync(this.state, { recursive: true, force: true });
    mkdirSync(this.state);
  }

  /** Ends it, takes the datapath down and removes all files, also those that a failure left. */
  async remove(): Promise<void> {
    await this.end('SIGTERM');
    // Without pins in a directory nothing of a datapath outlives its daemon.
    rmSync(this.pin, { recursive: true, force: true });
    rmSync(this.directory, { recursive: true, force: true });
  }
}
