import type { Logger } from 'pino';
import { DashboardRecorder } from './admin/dashboard/recorder.ts';
import { dashboardRoutes } from './admin/dashboard/routes.ts';
import { HttpListener, type Listen } from './admin/listen.ts';
import { Metrics } from './admin/metrics.ts';
import { metricsType } from './admin/metrics-text.ts';
import { AdminServer } from './admin/server.ts';
import type { BalancerView } from './admin/view.ts';
import { explainPool } from './control/explain.ts';
import type { Policy } from './control/policy.ts';
import { Pool, type PoolBackend } from './control/pool.ts';
import type {
  Datapath,
  DatapathBackend,
  DatapathOptions,
  DatapathVip,
  LiveWindow,
  SampleRecord,
} from './datapath/datapath.ts';
import { type DatapathName, openDatapath } from './datapath/open.ts';
import { type BackendSignals, noSignals } from './latency/signals.ts';
import { type Endpoint, formatEndpoint } from './net/address.ts';
import { type Ns, ns } from './units.ts';
import { packageVersion } from './version.ts';

/** A vip with its pool. */
export interface RunVip extends DatapathVip {
  readonly backends: readonly (PoolBackend & DatapathBackend)[];
  /** Its own: a policy keeps state. */
  readonly policy: Policy;
}

/** What a running load balancer is told; every field is a flag of `inband run` and is documented there. */
export interface RunOptions extends DatapathOptions {
  readonly datapath: DatapathName;
  /** At least one. */
  readonly vips: readonly RunVip[];
  readonly tickNs: Ns;
  readonly socket: string;
  readonly http?: Listen;
  /** All of this as a configuration file would have it, for whoever asks. */
  readonly configuration: Readonly<Record<string, unknown>>;
}

/** How often neighbours and interfaces are looked at. */
const pollMs = 100;
/** Latencies in `status` are of at least this long a time, and at most twice. */
const statusWindowMs = 5_000;
/** How often what wraps is carried over, see `Metrics`. */
const carryMs = 60_000;
/** Changes of shares remembered for `/history`. */
const historyMax = 4_096;
/** Changes of shares are logged at most this often. */
const shareLogMs = 1_000;

/** A vip with its pool, while the load balancer runs. */
interface Service {
  readonly vip: Endpoint;
  readonly pool: Pool;
  /** Number of the first backend among all vips'. */
  readonly first: number;
  /** One per backend; empty where nothing counts them. */
  readonly signals: readonly BackendSignals[];
  /** What the policy acts on: per kind, the window of each backend. */
  readonly windows: readonly (readonly LiveWindow[])[];
  /** What status shows: per backend and kind, the window before and the one that fills now. */
  readonly shown: readonly (readonly [LiveWindow, LiveWindow])[][];
  obstacles: (string | undefined)[];
  generation: number;
  slotsMoved: number;
}

/** Latencies of a backend and kind, in ns; null without a sample. */
export interface Latency {
  readonly samples: number;
  readonly p50_ns: number | null;
  readonly p95_ns: number | null;
  readonly p99_ns: number | null;
  readonly mean_ns: number | null;
}

/** Shares of a vip from a moment on, on the monotonic clock. */
export interface ShareChange {
  readonly time_ns: number;
  readonly vip: string;
  readonly generation: number;
  readonly share: readonly number[];
  readonly slots_moved: number;
}

/**
 * A running load balancer: a datapath, and the control loop that turns what it measures into slots. On every tick it
 * reads windows from, and writes slots to, memory that the datapath shares; the kernel is not called.
 */
export class LoadBalancer {
  readonly #options: RunOptions;
  readonly #log: Logger;
  readonly #datapath: Datapath;
  readonly #services: Service[];
  readonly #startedAt = new Date();
  readonly #startedNs = monotonicNs();
  readonly #metrics: Metrics;
  readonly #history: ShareChange[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #admin: AdminServer | undefined;
  #http: HttpListener | undefined;
  #dashboard: DashboardRecorder | undefined;
  #ticks = 0;
  #ticksLate = 0;
  #lastTickNs = monotonicNs();
  #lastShareLogMs = 0;

  private constructor(options: RunOptions, datapath: Datapath, log: Logger) {
    this.#options = options;
    this.#datapath = datapath;
    this.#log = log;
    let first = 0;
    this.#services = options.vips.map((vip) => {
      const service = this.#service(vip, first);
      first += vip.backends.length;
      return service;
    });
    this.#metrics = new Metrics(this.#view());
  }

  /**
   * Starts to forward and to control, and answers on the local socket.
   * @throws InbandError for what the machine lacks or refuses; nothing is left behind then
   */
  static async start(options: RunOptions, log: Logger): Promise<LoadBalancer> {
    const datapath = openDatapath(options.datapath, options);
    let balancer: LoadBalancer | undefined;
    try {
      balancer = new LoadBalancer(options, datapath, log);
      balancer.#poll();
      await balancer.#listen();
      const { name, mode, reason } = datapath;
      log.info({
        event: 'started',
        datapath: name,
        mode,
        ...(reason && { reason }),
        interface: options.interface,
        ...(balancer.#http && { http: balancer.#http.url }),
      });
      balancer.#run();
      return balancer;
    } catch (error) {
      datapath.close();
      if (balancer) await balancer.#admin?.close();
      throw error;
    }
  }

  /** Answers on the local socket and, where that was asked for, over TCP what is no secret. */
  async #listen(): Promise<void> {
    const { socket, http, configuration } = this.#options;
    const metrics = { type: metricsType, text: () => this.#metrics.scrape() };
    this.#admin = await AdminServer.listen(socket, {
      '/status': { json: () => this.status() },
      '/config': { json: () => ({ schema: 'inband.config/1', config: configuration }) },
      '/history': { json: () => this.#history },
      '/why': { json: () => this.why() },
      '/metrics': metrics,
      '/samples': { stream: (write) => this.#stream(write) },
    });
    if (!http) return;
    this.#dashboard = new DashboardRecorder(this.#view());
    const routes = { ...dashboardRoutes(this.#dashboard), '/metrics': metrics };
    this.#http = await HttpListener.listen(http, routes);
    this.#dashboard.start();
  }

  /** Stops forwarding and leaves nothing behind. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#dashboard?.stop();
    await this.#http?.close();
    this.#datapath.close();
    await this.#admin?.close();
    this.#log.info({ event: 'stopped' });
  }

  /** What `inband status --json` prints. */
  status() {
    const { name, mode, reason, kinds } = this.#datapath;
    return {
      schema: 'inband.status/1',
      pid: process.pid,
      started_at: this.#startedAt.toISOString(),
      datapath: { name, mode, reason, interface: this.#options.interface },
      policy: { name: this.#options.vips[0]!.policy.name, tick_ms: this.#options.tickNs / 1e6 },
      control: { ticks: this.#ticks, ticks_late: this.#ticksLate },
      vips: this.#services.map((service) => ({
        vip: formatEndpoint(service.vip),
        policy: service.pool.policy.name,
        slots: this.#options.slots,
        generation: service.generation,
        slots_moved: service.slotsMoved,
        backends: service.pool.backends.map(({ name: backend, weight }, i) => ({
          backend,
          weight,
          share: service.pool.shares[i]!,
          state: service.obstacles[i] === undefined ? 'up' : 'unusable',
          ...(service.obstacles[i] !== undefined && { obstacle: service.obstacles[i] }),
          ...this.#datapath.traffic(service.first + i),
          latency: Object.fromEntries(
            kinds.map((kind, k) => [kind, latencyOf(service.shown[i]![k]!)]),
          ) as Record<string, Latency>,
        })),
      })),
      packets: this.#datapath.packets(),
      flows: this.#datapath.flows(),
    };
  }

  /** What `inband why --json` prints of all backends. */
  why() {
    const sinceMs = Date.now() - monotonicNs() / 1e6;
    const timeOf = (time: number) => new Date(sinceMs + time / 1e6).toISOString();
    return {
      schema: 'inband.why/1',
      vips: this.#services.map(({ vip, pool }) => ({
        vip: formatEndpoint(vip),
        ...explainPool(pool, timeOf),
      })),
    };
  }

  #view(): BalancerView {
    const balancer = this;
    const { flows: flowsCapacity, tickNs, interface: link } = this.#options;
    return {
      version: packageVersion(),
      interface: link,
      datapath: this.#datapath,
      flowsCapacity,
      tickNs,
      services: this.#services,
      get uptimeNs() {
        return monotonicNs() - balancer.#startedNs;
      },
      get ticks() {
        return balancer.#ticks;
      },
      get ticksLate() {
        return balancer.#ticksLate;
      },
    };
  }

  #service({ endpoint: vip, backends, policy }: RunVip, first: number): Service {
    const { slots } = this.#options;
    const kinds = this.#datapath.kinds;
    const windows = kinds.map((_, k) => backends.map((_, b) => this.#datapath.window(first + b, k)));
    const counted = backends.map((_, b) => this.#datapath.signals(first + b));
    const signals = counted.includes(noSignals) ? [] : counted;
    const pool = new Pool({ policy, backends, kinds, windows, signals, table: { slots } });
    return {
      vip,
      pool,
      first,
      signals,
      windows,
      shown: backends.map((_, b) =>
        kinds.map(
          (_, k) => [this.#datapath.window(first + b, k), this.#datapath.window(first + b, k)] as const,
        ),
      ),
      obstacles: backends.map(() => 'not looked at yet'),
      generation: 0,
      slotsMoved: 0,
    };
  }

  #run(): void {
    const tickMs = this.#options.tickNs / 1e6;
    this.#timers.push(
      setInterval(() => this.#tick(), tickMs),
      setInterval(() => this.#poll(), pollMs),
      setInterval(() => this.#turnWindows(), statusWindowMs),
      setInterval(() => this.#metrics.carry(), carryMs),
    );
  }

  #tick(): void {
    const now = monotonicNs();
    this.#ticks++;
    if (now - this.#lastTickNs > 2 * this.#options.tickNs + 1e6) this.#ticksLate++;
    this.#lastTickNs = now;
    for (const service of this.#services) {
      for (const windows of service.windows) for (const window of windows) window.update();
      if (service.pool.decide(now)) this.#publish(service, now);
    }
  }

  #publish(service: Service, now: Ns): void {
    const moved = service.pool.publish(this.#datapath.slots(this.#services.indexOf(service)));
    if (moved === 0) return;
    service.generation++;
    service.slotsMoved += moved;
    const share = [...service.pool.shares];
    const vip = formatEndpoint(service.vip);
    this.#history.push({ time_ns: now, vip, generation: service.generation, share, slots_moved: moved });
    if (this.#history.length > historyMax) this.#history.splice(0, historyMax / 2);
    if (now / 1e6 - this.#lastShareLogMs < shareLogMs) return;
    this.#lastShareLogMs = now / 1e6;
    this.#log.info({ event: 'shares_changed', vip, generation: service.generation, share });
  }

  #poll(): void {
    this.#datapath.poll();
    const now = monotonicNs();
    for (const { pool, signals } of this.#services) {
      // A pool whose policy acts on samples alone leaves them as they are.
      if (pool.policy.trigger === 'sample') for (const one of signals) one.update(now);
    }
    for (const notice of this.#datapath.notices()) this.#log.warn({ event: 'datapath_notice', notice });
    for (const service of this.#services) {
      const obstacles = service.pool.backends.map((_, i) => this.#datapath.obstacle(service.first + i));
      const changed = obstacles.flatMap((obstacle, i) => (obstacle === service.obstacles[i] ? [] : [i]));
      if (changed.length === 0) continue;
      service.obstacles = obstacles;
      for (const i of changed) {
        const obstacle = obstacles[i];
        service.pool.setUsable(i, obstacle === undefined);
        const about = { vip: formatEndpoint(service.vip), backend: service.pool.backends[i]!.name };
        if (obstacle === undefined) this.#log.info({ event: 'backend_usable', ...about });
        else this.#log.warn({ event: 'backend_unusable', ...about, obstacle });
      }
      this.#publish(service, monotonicNs());
    }
  }

  /** Starts the next window of what status shows; the one before stays to be read. */
  #turnWindows(): void {
    for (const { shown } of this.#services) {
      for (const pair of shown.flat()) {
        for (const window of pair) window.update();
        const full = pair[0].count >= pair[1].count ? pair[0] : pair[1];
        full.reset();
      }
    }
  }

  #stream(write: (line: string) => void): () => void {
    const backends = this.#services.flatMap(({ pool }) => pool.backends.map(({ name }) => name));
    return this.#datapath.listen((samples: readonly SampleRecord[]) => {
      for (const sample of samples) {
        write(
          `${JSON.stringify({
            time_ns: sample.timeNs,
            kind: sample.kind,
            latency_ns: sample.latencyNs,
            client_addr: sample.clientAddress,
            client_port: sample.clientPort,
            vip: formatEndpoint(this.#services[sample.vip]!.vip),
            backend: backends[sample.backend],
          })}\n`,
        );
      }
    });
  }
}

/** What `status` gives: documented in the README, never renamed within a version of its schema. */
export type Status = ReturnType<LoadBalancer['status']>;

/** What `why` gives, likewise. */
export type Why = ReturnType<LoadBalancer['why']>;

/** Figures of the longer of two windows; null without a sample. */
function latencyOf(pair: readonly [LiveWindow, LiveWindow]): Latency {
  for (const window of pair) window.update();
  const window = pair[0].count >= pair[1].count ? pair[0] : pair[1];
  const known = (value: number) => (window.count === 0 ? null : value);
  return {
    samples: window.count,
    p50_ns: known(window.percentileNs(50)),
    p95_ns: known(window.percentileNs(95)),
    p99_ns: known(window.percentileNs(99)),
    mean_ns: known(Math.round(window.meanNs)),
  };
}

/** Time on CLOCK_MONOTONIC, the clock of `bpf_ktime_get_ns`. */
function monotonicNs(): Ns {
  return ns(Number(process.hrtime.bigint()));
}
