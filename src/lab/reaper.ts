import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { InbandError } from '../errors.ts';
import { start } from './commands.ts';
import { labDirectory } from './records.ts';
import { labProgram } from './requirements.ts';

/**
 * The process that removes a lab. It waits until nobody holds its standard input, so it does its work when the owner
 * says so, and when the owner dies in any way.
 */
export class Reaper {
  readonly #id: string;
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;

  constructor(id: string) {
    this.#id = id;
    // A process group of its own: Ctrl-C in a terminal must not end it before its work.
    this.#child = start([labProgram('reap'), `${id}-`, labDirectory(id)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: '/',
    });
    this.#exit = once(this.#child, 'close').then(([code]) => code as number | null);
    this.#exit.catch(() => {});
    this.#child.unref();
    this.held.unref();
  }

  /** To be held open by every command that adds to the lab. */
  get held(): Socket {
    return this.#child.stdin as Socket;
  }

  /** Removes the lab now. @throws InbandError `ENVIRONMENT` when that fails. */
  async reap(): Promise<void> {
    this.#child.ref();
    this.held.destroy();
    const code = await this.#exit;
    if (code === 0) return;
    throw new InbandError('ENVIRONMENT', `the lab ${this.#id} could not be removed`, {
      hint: `inband lab down --lab ${this.#id} tries again`,
    });
  }

  /** Lets the lab stay. */
  async dismiss(): Promise<void> {
    this.#child.ref();
    this.#child.kill('SIGKILL');
    await this.#exit;
  }
}
