import { InbandError } from '../../errors.ts';
import { interfaces } from './neighbours.ts';
import { pinLink } from './pins.ts';
import type { Attachment, XdpProgram } from './program.ts';

/** How often it is looked whether the program is on its interface. */
const lookMs = 1_000;

/**
 * Keeps a program on an interface that may be deleted and made again: the program, its flows and its tables stay, and go on
 * with the interface that has the name then.
 */
export class LinkKeeper {
  attachment: Attachment;
  readonly #program: XdpProgram;
  readonly #interface: string;
  readonly #directory: string | undefined;
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** What was told last about an interface that is gone. */
  #told: string | undefined;

  /** @param directory where the link is pinned; undefined where it is not */
  constructor(program: XdpProgram, attachment: Attachment, interfaceName: string, directory?: string) {
    this.#program = program;
    this.attachment = attachment;
    this.#interface = interfaceName;
    this.#directory = directory;
  }

  /** Looks when it is time. @returns what an operator should be told, if anything is new */
  poll(nowMs: number): string | undefined {
    if (nowMs - this.#lookedMs < lookMs) return undefined;
    this.#lookedMs = nowMs;
    if (this.#isAttached()) return undefined;
    const problem = this.#attach();
    if (problem === this.#told) return undefined;
    this.#told = problem;
    return problem === undefined
      ? `${this.#interface} is there again: forwarding goes on`
      : `nothing is forwarded: ${problem}`;
  }

  /** True also where this process may not ask any more, as a user that it became on kernels before 6.5. */
  #isAttached(): boolean {
    try {
      return (this.#program.link?.info().ifindex ?? 0) > 0;
    } catch (error) {
      if (error instanceof InbandError && error.code === 'PERMISSION') return true;
      throw error;
    }
  }

  /** Puts the program on the interface; why that is impossible now, or undefined. */
  #attach(): string | undefined {
    const target = interfaces().find(({ name }) => name === this.#interface);
    if (!target?.up) return `the program is off ${this.#interface}, which is ${target ? 'down' : 'gone'}`;
    try {
      this.#program.detach();
      this.attachment = this.#program.attach(target);
      if (this.#directory !== undefined) pinLink(this.#directory, this.#program.link!);
      return undefined;
    } catch (error) {
      if (error instanceof InbandError) return error.message;
      throw error;
    }
  }
}
