import type { Logger } from 'pino';
import type { ReloadAnswer } from '../admin/answers.ts';
import { DashboardRecorder } from '../admin/dashboard/recorder.ts';
import { dashboardRoutes } from '../admin/dashboard/routes.ts';
import { HttpListener } from '../admin/listen.ts';
import { Metrics } from '../admin/metrics.ts';
import { metricsType } from '../admin/metrics-text.ts';
import { AdminServer } from '../admin/server.ts';
import type { BalancerView } from '../admin/view.ts';
import type { Settings } from '../config/settings.ts';
import type { Datapath, DatapathOptions } from '../datapath/datapath.ts';
import { openDatapath } from '../datapath/open.ts';
import { takeInterfaceLock } from '../datapath/xdp/lock.ts';
import { pinDirectoryOf } from '../datapath/xdp/pins.ts';
import { InbandError } from '../errors.ts';
import type { Notifier } from '../notify.ts';
import { packageVersion } from '../version.ts';
import { monotonicNs } from './clock.ts';
import { Control, datapathVips } from './control.ts';
import { Overrides, type Owner } from './overrides.ts';
import { checkReloadable, Reloads } from './reload.ts';
import { localRoutes } from './routes.ts';
import type { ProcessFacts } from './status.ts';

/** What a load balancer needs beside its settings. */
export interface RunContext {
  readonly log: Logger;
  readonly notifier: Notifier;
  /** Who the process becomes after its start: what it is to write later belongs to that user. */
  readonly owner?: Owner;
  /** Reads the settings again; without it there is nothing to reload. */
  readonly reread?: () => Settings;
}

/** How often neighbours and interfaces are looked at. */
const pollMs = 100;
/** Latencies in `status` are of at least this long a time, and at most twice. */
const statusWindowMs = 5_000;
/** How often what wraps is carried over, see `Metrics`. */
const carryMs = 60_000;

/** A running load balancer: a datapath, the control of it, and what answers about both. */
export class LoadBalancer {
  readonly #context: RunContext;
  readonly #control: Control;
  readonly #facts: ProcessFacts;
  readonly #startedNs = monotonicNs();
  readonly #metrics: Metrics;
  readonly #recorder: DashboardRecorder;
  readonly #reloads = new Reloads();
  readonly #lock: { release(): void };
  readonly #timers: NodeJS.Timeout[] = [];
  #ticking: NodeJS.Timeout | undefined;
  #admin: AdminServer | undefined;
  #http: HttpListener | undefined;

  private constructor(control: Control, facts: ProcessFacts, lock: { release(): void }, context: RunContext) {
    this.#control = control;
    this.#facts = facts;
    this.#lock = lock;
    this.#context = context;
    const view = this.#view();
    this.#metrics = new Metrics(view);
    this.#recorder = new DashboardRecorder(view);
  }

  /**
   * Starts to forward and to control, or takes over what forwards already, and answers on the local socket.
   * @throws InbandError for what the machine lacks or refuses; nothing is left behind then
   */
  static async start(settings: Settings, context: RunContext): Promise<LoadBalancer> {
    const { log } = context;
    const lock = takeInterfaceLock(settings.interface);
    let datapath: Datapath | undefined;
    let balancer: LoadBalancer | undefined;
    try {
      datapath = await openDatapath(settings.datapath, datapathOptions(settings));
      const facts = { startedAt: new Date(), pinned: datapath.pinned ?? null };
      const tell = (event: string, about: object) => log.error({ event, ...about });
      const overrides = Overrides.load(settings.state, settings.interface, tell, context.owner);
      const control = new Control(datapath, settings, overrides, log);
      balancer = new LoadBalancer(control, facts, lock, context);
      balancer.#run();
      await balancer.#listen();
      balancer.#started();
      return balancer;
    } catch (error) {
      if (balancer) await balancer.#quit();
      // What forwarded before goes on; what this process began does not.
      if (datapath?.adopted) datapath.close();
      else datapath?.detach();
      lock.release();
      throw error;
    }
  }

  /**
   * Serves the settings as they are written now: all or nothing.
   * @throws InbandError why they cannot be; everything is as it was then
   */
  reload(): Promise<ReloadAnswer> {
    const { log, notifier, reread } = this.#context;
    return this.#control.inTurn(async () => {
      notifier.reloading();
      const startMs = performance.now();
      try {
        if (!reread) {
          throw new InbandError('USAGE', 'there is no file to read again', {
            hint: 'the daemon was started without --config',
          });
        }
        const settings = reread();
        checkReloadable(this.#control.settings, settings);
        const { slotsMoved, changes } = await this.#control.apply(settings);
        log.level = settings.logLevel;
        this.#tickEvery();
        const took = Math.round((performance.now() - startMs) * 10) / 10;
        this.#reloads.note(true);
        log.info({ event: 'config_reloaded', took_ms: took, slots_moved: slotsMoved, ...changes });
        notifier.ready(this.#summary());
        return { schema: 'inband.reload/1', took_ms: took, slots_moved: slotsMoved, ...changes };
      } catch (error) {
        this.#reloads.note(false);
        const { message } = error as Error;
        const details = error instanceof InbandError ? error.details : [];
        log.error({ event: 'config_reload_failed', reason: message, ...(details.length > 0 && { details }) });
        notifier.ready(`${this.#summary()}; the last reload failed: ${message}`);
        throw error;
      }
    });
  }

  /** Ends this process's part: a pinned datapath goes on to forward as it does now, another one stops. */
  async stop(): Promise<void> {
    const { log, notifier } = this.#context;
    const { pinned } = this.#facts;
    notifier.stopping();
    await this.#quit();
    this.#control.datapath.close();
    log.info({
      event: 'stopped',
      forwarding: pinned === null ? 'ended' : 'goes on',
      ...(pinned !== null && { pinned }),
    });
    this.#lock.release();
  }

  /** Lets nobody ask or decide any more. */
  async #quit(): Promise<void> {
    for (const timer of [...this.#timers, this.#ticking]) clearInterval(timer);
    await this.#recorder.stop();
    await this.#http?.close();
    await this.#admin?.close();
    this.#control.monitor.close();
  }

  /** Answers on the local socket and, where that was asked for, over TCP what is no secret. */
  async #listen(): Promise<void> {
    const [control, facts, metrics, recorder] = [this.#control, this.#facts, this.#metrics, this.#recorder];
    const { socket, http } = control.settings;
    const { log } = this.#context;
    const reload = () => this.reload();
    const routes = localRoutes({ control, facts, metrics, recorder, log, reload });
    this.#admin = await AdminServer.listen(socket, routes);
    this.#recorder.start();
    if (!http) return;
    this.#http = await HttpListener.listen(http, {
      ...dashboardRoutes(this.#recorder),
      '/metrics': { type: metricsType, text: () => metrics.scrape() },
    });
  }

  #started(): void {
    const { log, notifier } = this.#context;
    const { name, mode, reason, adopted } = this.#control.datapath;
    log.info({
      event: 'started',
      datapath: name,
      mode,
      ...(reason && { reason }),
      interface: this.#control.settings.interface,
      adopted,
      ...(this.#facts.pinned !== null && { pinned: this.#facts.pinned }),
      ...(this.#http && { http: this.#http.url }),
    });
    notifier.ready(this.#summary());
  }

  /** What a service manager shows of it, in a line. */
  #summary(): string {
    const { services, settings, datapath } = this.#control;
    const vips = `${services.length} ${services.length === 1 ? 'vip' : 'vips'}`;
    return `${vips} on ${settings.interface} by ${datapath.name}`;
  }

  #run(): void {
    const control = this.#control;
    this.#tickEvery();
    this.#timers.push(
      setInterval(() => control.poll(), pollMs),
      setInterval(() => control.turnWindows(), statusWindowMs),
      setInterval(() => this.#metrics.carry(), carryMs),
    );
  }

  #tickEvery(): void {
    const { notifier } = this.#context;
    const control = this.#control;
    clearInterval(this.#ticking);
    const tick = () => {
      control.tick();
      notifier.watchdog(control.lastTickNs);
    };
    this.#ticking = setInterval(tick, control.settings.tickNs / 1e6);
  }

  #view(): BalancerView {
    const [control, started, reloads] = [this.#control, this.#startedNs, this.#reloads];
    const { datapath, settings } = control;
    return {
      version: packageVersion(),
      interface: settings.interface,
      datapath,
      flowsCapacity: datapath.capacity.flows,
      reloads,
      pinned: this.#facts.pinned !== null,
      get tickNs() {
        return control.settings.tickNs;
      },
      get services() {
        return control.services;
      },
      get stateWriteFailures() {
        return control.overrides.failures;
      },
      get uptimeNs() {
        return monotonicNs() - started;
      },
      get ticks() {
        return control.ticks;
      },
      get ticksLate() {
        return control.ticksLate;
      },
      healthCounts: (number) => control.monitor.countsOf(number),
    };
  }
}

/** What a datapath is opened with. */
function datapathOptions(settings: Settings): DatapathOptions {
  const { interface: link, detach, pin, estimator, slots, flows, timeoutsNs, epochNs, cliff } = settings;
  const directory = detach ? undefined : (pin ?? pinDirectoryOf(link));
  return {
    interface: link,
    vips: datapathVips(settings),
    slots,
    flows,
    timeoutsNs,
    epochNs,
    cliff,
    ...(estimator !== undefined && { estimator }),
    answerArp: settings.answerArp,
    ...(directory !== undefined && { pin: directory, pinRequired: pin !== undefined }),
  };
}
