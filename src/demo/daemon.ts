import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ask, follow } from '../admin/client.ts';
import type { ShareChange, Status } from '../daemon.ts';
import { nativeDirectory } from '../datapath/xdp/native.ts';
import { type ErrorCode, InbandError, isErrorCode } from '../errors.ts';
import type { Lab } from '../lab/lab.ts';
import { serverPort } from '../lab/plan.ts';
import { labDirectory } from '../lab/records.ts';

/** A daemon that does not forward to every backend by then will not. */
const readyMsMax = 10_000;
const readyPollMs = 20;
/** After SIGTERM it gets this long to leave nothing behind. */
const stopMsMax = 5_000;
/** Its last words are kept to this length. */
const wordsMax = 4_096;

/** The compiled command; the same from `src` and from `dist`. */
const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** One line of `/samples`. */
export interface Sample {
  readonly time_ns: number;
  readonly kind: string;
  readonly latency_ns: number;
  readonly backend: string;
}

/** What is not as it is for a demo. */
export interface DaemonOptions {
  /** As `--backend` takes them; all servers of the lab by default. */
  readonly backends?: readonly string[];
  /** A command line that runs the daemon's, such as one that takes rights away. */
  readonly prefix?: readonly string[];
}

/** `inband run` as a process of its own at the load balancer's place of a lab, before all of the lab's servers. */
export class Daemon {
  readonly #child: ChildProcess;
  readonly #socket: string;
  readonly #ended: Promise<void>;
  #words = '';
  #stopping = false;

  private constructor(lab: Lab, policy: string, flags: readonly string[], options: DaemonOptions) {
    const { backends = lab.servers.map(({ address }) => address), prefix = [] } = options;
    this.#socket = join(labDirectory(lab.id), 'inband.sock');
    const argv = [
      ...[...prefix, process.execPath, program, 'run', '--interface', lab.lb.interface],
      ...['--vip', `${lab.vip}:${serverPort}/tcp`],
      ...backends.flatMap((backend) => ['--backend', backend]),
      ...['--policy', policy, '--socket', this.#socket, '--log-level', 'error'],
      ...(flags.includes('--pin') ? [] : ['--detach']),
      ...['--state', join(labDirectory(lab.id), 'state'), ...flags],
    ];
    // A process group of its own: Ctrl-C is for the demo, which then stops it.
    this.#child = lab.spawn(lab.lb, argv, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#words = (this.#words + text).slice(-wordsMax);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#words = error.message;
        resolve();
      });
      this.#child.once('close', () => resolve());
    });
  }

  /**
   * Starts it, and returns when it forwards to every server.
   * @throws InbandError the daemon's own, or `ENVIRONMENT` when it does not get there in time
   */
  static async start(
    lab: Lab,
    policy: string,
    flags: readonly string[] = [],
    options: DaemonOptions = {},
  ): Promise<Daemon> {
    if (!existsSync(program)) {
      throw new InbandError('ENVIRONMENT', 'inband is not built', { hint: 'run: npm run setup' });
    }
    const daemon = new Daemon(lab, policy, flags, options);
    try {
      await Promise.race([daemon.#ready(), daemon.failed()]);
      if ((await daemon.status()).datapath.name === 'xdp') await preparePeer(lab);
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return daemon;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** What it wrote on standard error, the end of it. */
  get words(): string {
    return this.#words;
  }

  status(): Promise<Status> {
    return ask<Status>(this.#socket, '/status');
  }

  history(): Promise<ShareChange[]> {
    return ask<ShareChange[]>(this.#socket, '/history');
  }

  samples(): AsyncGenerator<Sample, void> {
    return follow<Sample>(this.#socket, '/samples');
  }

  /** Rejects with what the daemon said when it ends without having been asked to; never resolves. */
  async failed(): Promise<never> {
    await this.#ended;
    if (this.#stopping) return new Promise(() => {});
    throw lastWords(this.#words);
  }

  /** Ends it and waits for that. Doing it again does nothing. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child.kill('SIGTERM');
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), stopMsMax);
    await this.#ended;
    clearTimeout(patience);
  }

  async #ready(): Promise<void> {
    const giveUp = performance.now() + readyMsMax;
    while (!this.#stopping) {
      const reason = await this.status().then(
        ({ vips }) => vips.flatMap(({ backends }) => backends).find(({ state }) => state !== 'up')?.obstacle,
        (error: Error) => error.message,
      );
      if (reason === undefined) return;
      if (performance.now() > giveUp) {
        throw new InbandError('ENVIRONMENT', `the load balancer is not ready: ${reason}`, {
          hint: 'inband doctor says what this machine lacks',
        });
      }
      await sleep(readyPollMs);
    }
  }
}

/**
 * Gives the other end of the load balancer's veth a native XDP program, without which nothing that the load balancer
 * sends from its own would arrive; in place of the one that it may have already.
 */
export async function preparePeer(lab: Lab): Promise<void> {
  const program = ['xdpdrv', 'obj', `${nativeDirectory}pass.bpf.o`, 'sec', 'xdp.frags'];
  await lab.exec(lab.plan.switch, ['ip', '-force', 'link', 'set', 'dev', lab.lb.port, ...program]);
}

/**
 * The error that a command ended with, from what it wrote: `inband: message [CODE]` and `hint: text`; else the line that
 * names an exception, or the last one.
 */
export function lastWords(text: string): InbandError {
  const said = /^inband: (.*) \[([A-Z_]+)\]$/m.exec(text);
  const hint = /^hint: (.*)$/m.exec(text)?.[1];
  const code: ErrorCode = said && isErrorCode(said[2]!) ? said[2]! : 'ENVIRONMENT';
  const exception = /^.*Error\b.*: .*$/m.exec(text)?.[0];
  const message =
    said?.[1] ?? exception ?? (text.trim().split('\n').at(-1) || 'the load balancer ended without a word');
  return new InbandError(code, message, hint === undefined ? {} : { hint });
}
