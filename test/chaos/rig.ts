import { setTimeout as sleep } from 'node:timers/promises';
import type { BackendsAnswer, ChangeAnswer, ReloadAnswer } from '../../src/admin/answers.ts';
import { preparePeer } from '../../src/demo/daemon.ts';
import { Lab } from '../../src/lab/lab.ts';
import {
  type ConnectionRecord,
  type LoadCounts,
  type LoadOptions,
  type LoadRun,
  startLoad,
} from '../../src/lab/load.ts';
import type { Host, LabOptions } from '../../src/lab/plan.ts';
import { Balancer, type StartOptions } from './balancer.ts';
import type { PoolModel, PoolOperation } from './pool.ts';

/** Longer than a segment that was lost five times in a row takes to be sent again (0.2 s, then twice as long each time). */
export const patienceMs = 8_000;
/** A load lasts until it is stopped, and at most this long, should nobody stop it. */
const loadMsMax = 3_600_000;
const intervalMs = 20;
const readyPollMs = 20;

const shapes = {
  /** Connections that live as long as the load. */
  held: { connections: 32 },
  /** Connections that are made anew all the time. */
  reconnecting: { connections: 32, requestsPerConnection: 100 },
} satisfies Record<string, LoadOptions>;

export type Shape = keyof typeof shapes;

/** Keys of a configuration; those of `pool` are the pool's. */
export type Rest = Readonly<Record<string, unknown>> & { readonly pool?: Readonly<Record<string, unknown>> };

/** An interval of one of the loads. */
export interface Interval extends LoadCounts {
  readonly shape: Shape;
}

/** What the kernels of clients and servers counted. */
export interface Wire {
  /** Segments that clients sent to the vip. */
  readonly sent: number;
  /** Segments that servers received; those of checks, too. */
  readonly received: number;
  /** Resets by server: of segments for connections that it did not have. */
  readonly resets: Readonly<Record<string, number>>;
}

/** A lab of key-value servers before a load balancer that can be killed, under loads that account for every connection. */
export class Rig {
  readonly lab: Lab;
  readonly balancer: Balancer;
  readonly intervals: Interval[] = [];
  #loads: LoadRun[] = [];
  #rest: Rest = {};

  private constructor(lab: Lab) {
    this.lab = lab;
    this.balancer = new Balancer(lab);
  }

  /** @throws InbandError as `Lab.up` */
  static async up(options: Partial<LabOptions> = {}): Promise<Rig> {
    const lab = await Lab.up({ servers: 4, delayLines: false, application: 'kv', ...options });
    await preparePeer(lab);
    return new Rig(lab);
  }

  get servers(): readonly Host[] {
    return this.lab.servers;
  }

  /** Writes the configuration: a pool of these servers, all of the lab's by default, and what is not as usual. */
  configure(names: readonly string[] = this.servers.map(({ name }) => name), rest: Rest = this.#rest): void {
    this.#rest = rest;
    const { pool = {}, ...others } = rest;
    const backends = names.map((name) => ({ address: this.lab.host(name).address }));
    this.balancer.configure({ pools: { servers: { backends, ...pool } }, ...others });
  }

  /** What the configuration has beside its servers. */
  get rest(): Rest {
    return this.#rest;
  }

  /** Does to the daemon what an operator would: by its socket, or by another configuration and a reload. */
  async operate(pool: PoolModel, operation: PoolOperation): Promise<ChangeAnswer | ReloadAnswer> {
    pool.apply(operation);
    const { kind, server } = operation;
    if (kind === 'add' || kind === 'remove') {
      this.configure(pool.configured);
      return this.balancer.post('/reload', {});
    }
    const backend = this.lab.host(server).address;
    const change = kind === 'weight' ? { weight: operation.weight } : { state: kind };
    return this.balancer.post('/backend', { backend, ...change });
  }

  /** Starts the daemon, and returns when all configured servers get new flows. */
  async start(options: StartOptions = {}): Promise<void> {
    await this.balancer.start(options);
    for (;;) {
      const { backends } = await this.balancer.get<BackendsAnswer>('/backends');
      if (backends.every(({ obstacle, slots }) => obstacle === null && slots > 0)) return;
      await sleep(readyPollMs);
    }
  }

  /** Starts both loads. */
  startLoad(options: LoadOptions = {}): void {
    for (const shape of ['held', 'reconnecting'] as const) {
      const all = { ...shapes[shape], durationMs: loadMsMax, intervalMs, timeoutMs: patienceMs, ...options };
      const load = startLoad(this.lab, this.lab.clients[0]!, { ...all, account: true }, (counts) =>
        this.intervals.push({ ...counts, shape }),
      );
      load.done.catch(() => {});
      this.#loads.push(load);
    }
  }

  /** Ends the loads, waits for the replies that are still to come, and returns what became of their connections. */
  async endLoad(): Promise<ConnectionRecord[]> {
    const loads = this.#loads;
    this.#loads = [];
    for (const load of loads) load.stop();
    const summaries = await Promise.all(loads.map(({ done }) => done));
    return summaries.flatMap(({ connections }) => connections);
  }

  /** Requests per second and worst p99 of a load in us over the intervals that ended between two moments. */
  during(fromNs: number, toNs: number): { requestsPerS: number; p99Us: number | null } {
    const all = this.intervals.filter(({ monoNs }) => monoNs > fromNs && monoNs <= toNs);
    const requests = all.reduce((sum, counts) => sum + counts.requests, 0);
    const worst = all.flatMap(({ p99Us }) => p99Us ?? []).reduce((most, one) => Math.max(most, one), 0);
    return { requestsPerS: requests / ((toNs - fromNs) / 1e9), p99Us: worst || null };
  }

  async wire(): Promise<Wire> {
    const [clients, servers] = await Promise.all(
      [this.lab.clients, this.lab.servers].map((hosts) =>
        Promise.all(hosts.map((host) => this.lab.segments(host))),
      ),
    );
    return {
      sent: clients!.reduce((sum, { sent, sentAgain }) => sum + sent + sentAgain, 0),
      received: servers!.reduce((sum, { received }) => sum + received, 0),
      resets: Object.fromEntries(this.servers.map(({ name }, i) => [name, servers![i]!.resetsSent])),
    };
  }

  /** Ends everything and leaves nothing behind. */
  async down(): Promise<void> {
    await this.endLoad().catch(() => {});
    await this.balancer.remove();
    await this.lab.down();
  }
}
