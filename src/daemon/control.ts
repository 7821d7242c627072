import type { Logger } from 'pino';
import type { BackendSettings, Settings } from '../config/settings.ts';
import type { Datapath, DatapathVip, Fate } from '../datapath/datapath.ts';
import type { BackendHealth } from '../health/health.ts';
import { HealthMonitor } from '../health/monitor.ts';
import { parseAddress } from '../net/address.ts';
import type { Ns } from '../units.ts';
import { monotonicNs } from './clock.ts';
import { Names } from './names.ts';
import { Obstacles } from './obstacles.ts';
import type { Overrides } from './overrides.ts';
import { type Plan, planOf, Turns } from './plan.ts';
import { Service } from './service.ts';
import { watchedVips } from './watched.ts';

/** How often checks of backends are looked after. */
const healthNs = 10e6;
/** Kinds of samples that a policy does not act on are read so often: its pool looks at them ten times a second. */
const allKindsNs = 50e6;
/** Pools of more backends than this take a step of a slow start only so often. */
const largePool = 100;
const largeRampNs = 500e6;
/** Changes of shares remembered for `/history`. */
const historyMax = 4_096;
/** Changes of shares are logged at most this often. */
const shareLogNs = 1e9;

/** Shares of a vip from a moment on, on the monotonic clock. */
export interface ShareChange {
  readonly time_ns: number;
  readonly vip: string;
  readonly generation: number;
  /** Fraction of the slots that each backend holds. */
  readonly share: readonly number[];
  readonly slots_moved: number;
  /** Whose shares these are, where they are others than at the change before. */
  readonly backends?: readonly string[];
}

/** What it took to serve other settings. */
export interface Applied {
  /** Slots of vips that stay which went to another backend. */
  readonly slotsMoved: number;
  readonly changes: Plan['changes'];
}

/**
 * What turns measurements, checks and what an operator wants into slots, for all vips. On every tick it reads windows from,
 * and writes slots to, memory that the datapath shares; the kernel is not called.
 */
export class Control {
  readonly datapath: Datapath;
  readonly overrides: Overrides;
  readonly monitor: HealthMonitor;
  readonly names = new Names();
  readonly history: ShareChange[] = [];
  settings: Settings;
  services: readonly Service[] = [];
  ticks = 0;
  ticksLate = 0;
  lastTickNs = monotonicNs();
  readonly #log: Logger;
  readonly #obstacles: Obstacles;
  /** Services with backends whose health changed since the last tick. */
  readonly #stale = new Set<Service>();
  readonly #fates = new Map<number, Fate>();
  #healthNs = Number.NEGATIVE_INFINITY;
  #allKindsNs = Number.NEGATIVE_INFINITY;
  #shareLogNs = Number.NEGATIVE_INFINITY;
  #working: Promise<unknown> = Promise.resolve();

  /** Takes over a datapath that was opened with the vips of the settings. */
  constructor(datapath: Datapath, settings: Settings, overrides: Overrides, log: Logger) {
    this.datapath = datapath;
    this.settings = settings;
    this.overrides = overrides;
    this.#log = log;
    this.#obstacles = new Obstacles(datapath, log);
    const { interface: link, healthSource } = settings;
    const source = healthSource === undefined ? undefined : parseAddress(healthSource);
    this.monitor = new HealthMonitor({
      datapath,
      log,
      interface: link,
      ...(source && { source }),
      now: monotonicNs,
    });
    this.monitor.onChange = (number, health, gradual) => this.#healthChanged(number, health, gradual);
    this.#take(
      settings.vips.map(
        (vip, v) =>
          new Service({ datapath, vip, placed: datapath.placed[v]!, overrides, method: settings.table }),
      ),
    );
    this.poll();
    for (const service of this.services) this.#begin(service);
  }

  /** Does work that changes what is served after all such work that was asked for before. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => {});
    return done;
  }

  /**
   * Serves other settings, or the same with other overrides: all or nothing. What stays as it is goes on untouched.
   * To be called `inTurn`.
   * @throws InbandError for what the datapath cannot hold; everything is as it was then
   */
  async apply(settings: Settings): Promise<Applied> {
    const { datapath, overrides } = this;
    const plan = await planOf(this.services, settings, overrides);
    const placed = datapath.configure(datapathVips(settings));
    // What became of numbers that left or came back is the datapath's to say.
    this.#fates.clear();
    this.settings = settings;
    const services = plan.vips.map((planned, v) => {
      const { vip, before, stays } = planned;
      if (!before || !stays) {
        return new Service({ ...planned, datapath, placed: placed[v]!, overrides, method: settings.table });
      }
      before.settings = vip;
      return before;
    });
    this.#take(services);
    // Next hops of new backends are looked for before anybody is sent there.
    this.poll();
    const turns = new Turns();
    let slotsMoved = 0;
    for (const [v, service] of services.entries()) {
      const { before, stays } = plan.vips[v]!;
      this.#fate(service);
      if (stays) continue;
      const movedBefore = before?.slotsMoved ?? Number.NaN;
      this.#begin(service);
      if (before) slotsMoved += service.slotsMoved - movedBefore;
      await turns.next();
    }
    return { slotsMoved, changes: plan.changes };
  }

  /** A turn of the control loop. */
  tick(): void {
    const now = monotonicNs();
    this.ticks++;
    if (now - this.lastTickNs > 2 * this.settings.tickNs + 1e6) this.ticksLate++;
    this.lastTickNs = now;
    if (now - this.#healthNs >= healthNs) {
      this.#healthNs = now;
      this.monitor.poll(now);
    }
    if (this.#stale.size > 0) this.#refresh(now);
    const all = now - this.#allKindsNs >= allKindsNs;
    if (all) this.#allKindsNs = now;
    for (const service of this.services) {
      if (service.isPending) continue;
      const { pool, windows } = service;
      const chosen = windows[pool.kinds.indexOf(pool.kind)] ?? [];
      for (const window of chosen) window.update();
      if (all) for (const kind of windows) if (kind !== chosen) for (const window of kind) window.update();
      if (pool.decide(now)) this.publish(service, now);
    }
  }

  /** Looks at the surroundings, ten times a second. */
  poll(): void {
    this.datapath.poll();
    const now = monotonicNs();
    for (const notice of this.datapath.notices()) this.#log.warn({ event: 'datapath_notice', notice });
    for (const service of this.services) {
      // A pool whose policy acts on samples alone leaves them as they are.
      if (service.pool.policy.trigger === 'sample') for (const one of service.signals) one.update(now);
      const isNews = this.#obstacles.look(service, now);
      if (!service.isPending && (isNews || this.#isRampDue(service, now))) this.publish(service, now);
    }
    this.#obstacles.finish(now);
  }

  /** Starts the next window of what status shows; the one before stays to be read. */
  turnWindows(): void {
    for (const { meters } of this.services) {
      for (const { shown } of meters) {
        for (const pair of shown) {
          for (const window of pair) window.update();
          const full = pair[0].count >= pair[1].count ? pair[0] : pair[1];
          if (full.count > 0) full.reset();
        }
      }
    }
  }

  /** Makes the table of a service follow its shares. */
  publish(service: Service, now: Ns = monotonicNs()): void {
    const moved = service.pool.publish(this.datapath.slots(service.place), now);
    if (moved > 0) this.#note(service, moved, now);
  }

  /** What an operator wants of a backend counts from now on. */
  stateChanged(service: Service): void {
    this.#watch();
    this.publish(service);
    this.#fate(service);
  }

  /** The first table of a service. */
  #begin(service: Service): void {
    service.isPending = false;
    this.publish(service);
    this.#fate(service);
  }

  #take(services: readonly Service[]): void {
    this.services = services;
    this.names.take(services);
    this.#watch();
  }

  /** Tells the monitor what there is to check, and takes over what it knows. */
  #watch(): void {
    this.monitor.configure(watchedVips(this.services));
    for (const service of this.services) {
      for (const [b, number] of service.numbers.entries()) {
        service.health[b] = this.monitor.of(number);
        service.pool.setHealthy(b, this.monitor.isUsable(number), service.joins[b]!);
      }
    }
  }

  #healthChanged(number: number, health: BackendHealth, gradual: boolean): void {
    const found = this.names.serviceOf(number);
    if (!found) return;
    const { service, index } = found;
    service.health[index] = health;
    service.pool.setHealthy(index, this.monitor.isUsable(number), gradual || service.joins[index]!);
    this.#settle(service, index);
    this.#stale.add(service);
  }

  /** A backend that came to others took part once: from now on it returns as they do. */
  #settle(service: Service, b: number): void {
    if (service.joins[b] && service.pool.isUsable(b)) service.joins[b] = false;
  }

  /** Brings up to date what checks changed, once for all backends of a service. */
  #refresh(now: Ns): void {
    for (const service of this.#stale) {
      // One that is still to begin, or is no more, is not asked.
      if (service.isPending || !this.services.includes(service)) continue;
      this.publish(service, now);
      this.#fate(service);
    }
    this.#stale.clear();
  }

  /** Whether a slow start is to go on: ten times a second, but large tables take longer to follow. */
  #isRampDue(service: Service, now: Ns): boolean {
    if (!service.pool.isRamping) return false;
    const { length } = service.numbers;
    if (now - service.rampedNs < (length > largePool ? largeRampNs : 0)) return false;
    service.rampedNs = now;
    return true;
  }

  /** Says what flows of backends meet that are lost. */
  #fate({ numbers, states, health, settings }: Service): void {
    for (const [b, number] of numbers.entries()) {
      const isLost = states[b] === 'maintenance' || health[b]!.state === 'down';
      const fate = isLost ? settings.lostFlows : 'keep';
      if (this.#fates.get(number) === fate) continue;
      this.#fates.set(number, fate);
      this.datapath.setFate(number, fate);
    }
  }

  #note(service: Service, moved: number, now: Ns): void {
    service.generation++;
    service.slotsMoved += moved;
    const { name: vip, generation } = service;
    const share = [...service.pool.held];
    const isFirst = !service.isNoted;
    service.isNoted = true;
    this.history.push({
      time_ns: now,
      vip,
      generation,
      share,
      slots_moved: moved,
      ...(isFirst && { backends: service.pool.backends.map(({ name }) => name) }),
    });
    if (this.history.length > historyMax) this.history.splice(0, historyMax / 2);
    if (now - this.#shareLogNs < shareLogNs) return;
    this.#shareLogNs = now;
    this.#log.info({ event: 'shares_changed', vip, generation, share });
  }
}

/** The vips of settings as a datapath takes them. */
export function datapathVips({ vips }: Pick<Settings, 'vips'>): DatapathVip[] {
  return vips.map(({ endpoint, backends, lostFlows }) => ({
    endpoint,
    backends: backends.map(({ name, encapsulation }: BackendSettings) => ({
      name,
      ...(encapsulation !== undefined && { encapsulation }),
    })),
    lostFlows,
  }));
}
