import type { Decision } from '../../control/decisions.ts';
import { reasonText } from '../../control/reason.ts';
import type { LiveWindow } from '../../datapath/datapath.ts';
import { formatEndpoint } from '../../net/address.ts';
import { slices } from '../metrics-text.ts';
import type { BalancerView, ServiceView } from '../view.ts';
import type { About, Frame, ShownDecision, VipFrame } from './frame.ts';

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
  readonly #watched: Watched[];
  readonly #listeners = new Set<(event: string) => void>();
  readonly #frames: string[] = [];
  #bytes = 0;
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
    this.#watched = balancer.services.map((service) => ({ service, kind: '', windows: [] }));
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

  /** What a page needs to begin with, a JSON value a line: what it is about, the decisions, then frames. */
  recent(): AsyncGenerator<string, void> {
    const lines = [JSON.stringify(this.about()), this.#decisions, ...this.#frames];
    return slices(
      lines.map((line) => `${line}\n`),
      sliceMs,
    );
  }

  /** Hands every frame on, and the decisions when there are new ones, as server-sent events; ends by what it returns. */
  listen(write: (event: string) => void): () => void {
    this.#listeners.add(write);
    return () => this.#listeners.delete(write);
  }

  /** Makes one frame, in slices. */
  async record(): Promise<void> {
    const made: VipFrame[] = [];
    const found: Found[] = [];
    for await (const _ of slices(this.#steps(made, found), sliceMs));
    const frame = JSON.stringify(this.#frame(made));
    this.#frames.push(frame);
    this.#bytes += frame.length;
    while (this.#frames.length > framesMax || this.#bytes > bytesMax)
      this.#bytes -= this.#frames.shift()!.length;
    const decisions = JSON.stringify(this.#latest(found));
    const isNew = decisions !== this.#decisions;
    this.#decisions = decisions;
    for (const write of this.#listeners) {
      write(`event: frame\ndata: ${frame}\n\n`);
      if (isNew) write(`event: decisions\ndata: ${decisions}\n\n`);
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
    const { pool, first } = watched.service;
    const { datapath } = this.#balancer;
    const kind = datapath.kinds.indexOf(pool.kind);
    watched.kind = pool.kind;
    watched.windows = pool.backends.map((_, b) => datapath.window(first + b, kind));
  }

  #add(frame: Filling, service: ServiceView, window: LiveWindow, b: number): void {
    window.update();
    const us = (percent: number) =>
      window.count === 0 ? null : Number((window.percentileNs(percent) / 1e3).toPrecision(4));
    frame.share.push(Number(service.pool.shares[b]!.toFixed(5)));
    frame.p50.push(us(50));
    frame.p99.push(us(99));
    frame.samples.push(window.count);
    window.reset();
    const { flows, packets } = this.#balancer.datapath.traffic(service.first + b);
    frame.flows.push(flows);
    frame.packets.push(packets);
    const signals = service.signals[b];
    if (signals) {
      frame.inFlight.push(signals.inFlight);
      frame.oldestMs.push(Number((signals.oldestNs / 1e6).toPrecision(3)));
      frame.retransmits.push(signals.retransmits + signals.synRetransmits);
    }
    const obstacle = service.obstacles[b];
    if (obstacle !== undefined) frame.obstacles[b] = obstacle;
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
};

const emptyFrame = ({ generation, slotsMoved }: ServiceView, kind: string): Filling => ({
  kind,
  generation,
  slotsMoved,
  share: [],
  p50: [],
  p99: [],
  samples: [],
  flows: [],
  packets: [],
  inFlight: [],
  oldestMs: [],
  retransmits: [],
  obstacles: {},
});
