import type { Decision } from '../../control/decisions.ts';
import { reasonText } from '../../control/reason.ts';
import type { LiveWindow } from '../../datapath/datapath.ts';
import type { BackendHealth } from '../../health/health.ts';
import { formatEndpoint } from '../../net/address.ts';
import { slices } from '../metrics-text.ts';
import type { BalancerView, ServiceView } from '../view.ts';
import type { About, Frame, ShownDecision, ShownHealth, VipFrame } from './frame.ts';

/** How often a frame is made. */
const periodMs = 1_000;
/** The past that a page gets when it is opened: this many frames, and no more than this many bytes. */
const framesMax = 600;
const bytesMax = 4 << 20;
/** The latest decisions are shown, over all vips. */
const decisionsMax = 100;
/** As in a scrape: what is done at once ends before a tick is due again. */
const sliceMs = 0.1;

/** A vip with its windows of the kind that the policy acts on. */
interface Watched {
  readonly service: ServiceView;
  kind: string;
  windows: readonly LiveWindow[];
}

/** Frames of the time in which vips were configured alike. */
interface Era {
  readonly about: string;
  readonly frames: string[];
}

type Listener = (name: 'about' | 'frame' | 'decisions', json: string) => void;

/** A decision, and which vip and backend it is about. */
interface Found {
  readonly vip: number;
  readonly backend: number;
  readonly decision: Decision;
}

/** What the dashboard shows of the last minutes, recorded whether or not anybody looks. */
export class DashboardRecorder {
  readonly #balancer: BalancerView;
  readonly #started = new Date().toISOString();
  #watched: readonly Watched[] = [];
  readonly #listeners = new Set<Listener>();
  /** At least one; the last is the present. */
  readonly #eras: Era[] = [];
  #bytes = 0;
  #frames = 0;
  #count = 0;
  #decisions = '[]';
  /** Decisions that ended before this, on the monotonic clock, are not among the latest. */
  #horizonNs = Number.NEGATIVE_INFINITY;
  /** Unix time of 0 on the monotonic clock, in s. */
  readonly #originS = Date.now() / 1e3 - Number(process.hrtime.bigint()) / 1e9;
  #timer: NodeJS.Timeout | undefined;
  #recording: Promise<void> | undefined;

  constructor(balancer: BalancerView) {
    this.#balancer = balancer;
    this.#takeOn();
  }

  /** Records a frame each second until `stop`. */
  start(): void {
    this.#timer = setInterval(() => {
      // A frame that takes longer than a second is one; the next is left out.
      this.#recording ??= this.record().finally(() => {
        this.#recording = undefined;
      });
    }, periodMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#recording;
  }

  /** What frames and decisions are about. */
  about(): About {
    const { version, interface: link, datapath, flowsCapacity, tickNs } = this.#balancer;
    const { name, mode, reason } = datapath;
    return {
      version,
      started: this.#started,
      interface: link,
      datapath: { name, mode, reason },
      flowsCapacity,
      tickMs: tickNs / 1e6,
      vips: this.#watched.map(({ service: { vip, pool } }) => ({
        vip: formatEndpoint(vip),
        policy: pool.policy.name,
        backends: pool.backends.map((backend, b) => ({ name: backend.name, weight: pool.weights[b]! })),
      })),
    };
  }

  /** What a page needs to begin with: `Recorded` lines, frames of each time after what they are about. */
  recent(): AsyncGenerator<string, void> {
    const lines = this.#eras.flatMap(({ about, frames }) => [
      line('about', about),
      ...frames.map((frame) => line('frame', frame)),
    ]);
    return slices([...lines, line('decisions', this.#decisions)], sliceMs);
  }

  /**
   * Hands every frame on, the decisions when there are new ones, and what frames are about when that changed, as
   * server-sent events; ends by what it returns.
   */
  listen(write: (event: string) => void): () => void {
    return this.#register((name, json) => write(`event: ${name}\ndata: ${json}\n\n`));
  }

  /** As `listen`, as `Recorded` lines. */
  follow(write: (line: string) => void): () => void {
    return this.#register((name, json) => write(line(name, json)));
  }

  #register(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(name: Parameters<Listener>[0], json: string): void {
    for (const listener of this.#listeners) listener(name, json);
  }

  /** Takes on vips that are configured otherwise than before. */
  #takeOn(): void {
    const { services } = this.#balancer;
    const isSame =
      services.length === this.#watched.length &&
      services.every((one, v) => one === this.#watched[v]!.service);
    if (isSame && this.#eras.length > 0) return;
    const known = new Map(this.#watched.map((one) => [one.service, one]));
    this.#watched = services.map((service) => known.get(service) ?? { service, kind: '', windows: [] });
    this.#horizonNs = Number.NEGATIVE_INFINITY;
    const about = JSON.stringify(this.about());
    this.#eras.push({ about, frames: [] });
    this.#bytes += about.length;
    this.#tell('about', about);
  }

  /** Makes one frame, in slices. */
  async record(): Promise<void> {
    this.#takeOn();
    const made: VipFrame[] = [];
    const found: Found[] = [];
    for await (const _ of slices(this.#steps(made, found), sliceMs));
    const frame = JSON.stringify(this.#frame(made));
    this.#eras.at(-1)!.frames.push(frame);
    this.#bytes += frame.length;
    this.#frames++;
    this.#forget();
    const decisions = JSON.stringify(this.#latest(found));
    const isNew = decisions !== this.#decisions;
    this.#decisions = decisions;
    this.#tell('frame', frame);
    if (isNew) this.#tell('decisions', decisions);
  }

  /** Lets the oldest frames go, and times of which none is left. */
  #forget(): void {
    for (;;) {
      const first = this.#eras[0]!;
      if (first.frames.length === 0 && this.#eras.length > 1) {
        this.#bytes -= this.#eras.shift()!.about.length;
      } else if (this.#frames > framesMax || (this.#bytes > bytesMax && this.#frames > 1)) {
        this.#bytes -= first.frames.shift()!.length;
        this.#frames--;
      } else {
        return;
      }
    }
  }

  #frame(vips: readonly VipFrame[]): Frame {
    const { datapath, uptimeNs, ticks, ticksLate } = this.#balancer;
    return {
      n: ++this.#count,
      t: Math.round(Date.now()) / 1e3,
      uptimeS: Math.round(uptimeNs / 1e9),
      ticks,
      ticksLate,
      packets: datapath.packets(),
      flows: datapath.flows(),
      vips,
    };
  }

  /** Fills in vip by vip; each step does a backend. */
  *#steps(made: VipFrame[], found: Found[]): Generator<string, void> {
    for (const [vip, watched] of this.#watched.entries()) {
      const { service } = watched;
      if (watched.kind !== service.pool.kind) this.#watch(watched);
      const frame = emptyFrame(service, watched.kind);
      for (let b = 0; b < watched.windows.length; b++) {
        this.#add(frame, service, watched.windows[b]!, b);
        for (const decision of service.pool.decisions.of(b)) {
          if (decision.untilNs >= this.#horizonNs) found.push({ vip, backend: b, decision });
        }
        yield '';
      }
      made.push(frame);
    }
  }

  /** Follows the policy to another kind of samples: what was measured before does not compare. */
  #watch(watched: Watched): void {
    const { pool, numbers } = watched.service;
    const { datapath } = this.#balancer;
    const kind = datapath.kinds.indexOf(pool.kind);
    watched.kind = pool.kind;
    watched.windows = numbers.map((number) => datapath.window(number, kind));
  }

  #add(frame: Filling, service: ServiceView, window: LiveWindow, b: number): void {
    window.update();
    const us = (percent: number) =>
      window.count === 0 ? null : Number((window.percentileNs(percent) / 1e3).toPrecision(4));
    frame.share.push(Number(service.pool.held[b]!.toFixed(5)));
    frame.p50.push(us(50));
    frame.p99.push(us(99));
    frame.samples.push(window.count);
    window.reset();
    const { flows, held, packets } = this.#balancer.datapath.traffic(service.numbers[b]!);
    frame.flows.push(flows);
    frame.held.push(held);
    frame.packets.push(packets);
    const signals = service.signals[b];
    if (signals) {
      frame.inFlight.push(signals.inFlight);
      frame.oldestMs.push(Number((signals.oldestNs / 1e6).toPrecision(3)));
      frame.retransmits.push(signals.retransmits + signals.synRetransmits);
    }
    const obstacle = service.obstacles[b];
    if (obstacle !== undefined) frame.obstacles[b] = obstacle;
    const state = service.states[b]!;
    if (state !== 'ready') frame.states[b] = state;
    const health = shownHealth(service.health[b]!);
    if (health) frame.health[b] = health;
  }

  /** The latest decisions, the last first. */
  #latest(found: Found[]): ShownDecision[] {
    const latest = found.sort((a, b) => b.decision.untilNs - a.decision.untilNs).slice(0, decisionsMax);
    if (latest.length === decisionsMax) this.#horizonNs = latest.at(-1)!.decision.untilNs;
    const timeOf = (ns: number) => Math.round((this.#originS + ns / 1e9) * 100) / 100;
    return latest.map(({ vip, backend, decision }) => ({
      vip,
      backend,
      from: timeOf(decision.fromNs),
      until: timeOf(decision.untilNs),
      steps: decision.steps,
      text: reasonText(decision.reason),
    }));
  }
}

type Filling = {
  [Key in keyof VipFrame]: VipFrame[Key] extends readonly (infer One)[] ? One[] : VipFrame[Key];
} & {
  obstacles: Record<number, string>;
  states: Record<number, 'drain' | 'maintenance'>;
  health: Record<number, ShownHealth>;
};

const line = (name: 'about' | 'frame' | 'decisions', json: string): string => `{"${name}":${json}}\n`;

/** What there is to say of a backend's health; undefined if it is up. */
function shownHealth({ state, reason, ejected }: BackendHealth): ShownHealth | undefined {
  if (state === 'down') return { state, reason };
  if (ejected) return { state: 'ejected', reason: ejected.reason };
  return state === 'up' ? undefined : { state, reason };
}

const emptyFrame = ({ generation, slotsMoved }: ServiceView, kind: string): Filling => ({
  kind,
  generation,
  slotsMoved,
  share: [],
  p50: [],
  p99: [],
  samples: [],
  flows: [],
  held: [],
  packets: [],
  inFlight: [],
  oldestMs: [],
  retransmits: [],
  obstacles: {},
  states: {},
  health: {},
});
