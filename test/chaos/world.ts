import type { Host } from '../../src/lab/plan.ts';
import { Random } from '../../src/sim/random.ts';
import type { Excuse } from './account.ts';
import { monotonicNs, type StartOptions } from './balancer.ts';
import { PoolModel, pick } from './pool.ts';
import type { Rig } from './rig.ts';

/** Something that happens to a running load balancer. Returns what, in words; undefined if it cannot happen now. */
export type Disturbance = (world: World) => Promise<string | undefined>;

export const fates = ['keep', 'keep', 'keep', 'reset', 'resteer'] as const;

/** Everything of a run that the disturbances share: what they draw from, what they did, and what is still to be undone. */
export class World {
  readonly rig: Rig;
  readonly random: Random;
  readonly pool: PoolModel;
  /** What flows meet whose backend is gone. */
  readonly fate: (typeof fates)[number];
  readonly excuses: Excuse[] = [];
  readonly startOptions: StartOptions;
  readonly originNs = monotonicNs();
  /** Servers that something is being done to. */
  readonly #disturbed = new Set<string>();
  readonly #later = new Set<Promise<void>>();
  readonly #say: (line: string) => void;
  /** What went wrong apart from connections. */
  readonly failures: string[] = [];

  constructor(rig: Rig, seed: number, startOptions: StartOptions, say: (line: string) => void) {
    this.rig = rig;
    this.random = new Random(seed, 0);
    this.pool = new PoolModel(rig.servers.map(({ name }) => name));
    this.fate = pick(this.random, fates);
    this.startOptions = startOptions;
    this.#say = say;
  }

  say(text: string): void {
    const seconds = (monotonicNs() - this.originNs) / 1e9;
    this.#say(`${seconds.toFixed(3).padStart(9)} s  ${text}`);
  }

  fail(text: string): void {
    this.failures.push(text);
    this.say(`FAILED: ${text}`);
  }

  /** A whole number of ms, both ends possible. */
  ms(from: number, to: number): number {
    return from + Math.floor(this.random.uniform() * (to - from + 1));
  }

  /** Servers that nothing is being done to. */
  get calm(): Host[] {
    return this.rig.servers.filter(({ name }) => !this.#disturbed.has(name));
  }

  /** Servers that answer and take new flows. */
  get serving(): Host[] {
    return this.calm.filter(({ name }) => this.pool.ready.includes(name));
  }

  /** A server that something may be done to, as another one serves meanwhile; undefined if there is none. */
  victim(): Host | undefined {
    const others = (host: Host) => this.serving.some((serving) => serving !== host);
    const possible = this.calm.filter(others);
    return possible.length > 0 ? pick(this.random, possible) : undefined;
  }

  /** From now on connections of a server may break, for this cause. */
  excuse(server: Host, cause: string): Excuse {
    const excuse = { server: server.name, fromNs: monotonicNs(), toNs: Number.POSITIVE_INFINITY, cause };
    this.excuses.push(excuse);
    return excuse;
  }

  /** What was done to a server is undone after a time, before the run ends. */
  undoLater(server: Host, afterMs: number, what: string, undo: () => Promise<void>): void {
    this.#disturbed.add(server.name);
    this.later(afterMs, what, async () => {
      await undo();
      this.#disturbed.delete(server.name);
    });
  }

  /** Does something after a time, before the run ends. */
  later(afterMs: number, what: string, task: () => Promise<void>): void {
    const done = new Promise((resolve) => setTimeout(resolve, afterMs))
      .then(async () => {
        await task();
        this.say(what);
      })
      .catch((error: Error) => this.fail(`${what}: ${error.message}`))
      .finally(() => this.#later.delete(done));
    this.#later.add(done);
  }

  /** Resolves when all that was to be done later is done. */
  async settled(): Promise<void> {
    while (this.#later.size > 0) await Promise.all(this.#later);
  }
}
