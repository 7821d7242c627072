import type { AdminState } from '../admin/answers.ts';
import type { AboutVip, Frame, ShownHealth, VipFrame } from '../admin/dashboard/frame.ts';
import type { TopFeed } from './top-feed.ts';

/** Rates are over this many seconds: one alone is too restless to be read. */
const rateFrames = 3;
/** Decisions shown at most. */
const decisionsMax = 20;

/** Packets for a vip that did not reach a backend. */
const lostReasons = ['no_backend', 'too_big', 'send_failed', 'shed', 'ring_full'];
/** Packets that left as they should; `probe` is the answer to a check. */
const fineReasons = ['tx', 'redirect', 'ipip', 'arp_answered', 'probe'];

/** What `inband top` shows of one moment; `--once --json` prints it. Within a version of `schema` keys are added, never renamed. */
export interface TopView {
  readonly schema: 'inband.top/1';
  readonly time: string;
  readonly version: string;
  readonly interface: string;
  readonly datapath: { readonly name: string; readonly mode: string; readonly reason: string };
  readonly uptime_s: number;
  readonly packets_per_s: number;
  readonly lost_per_s: number;
  readonly flows: TopFlows;
  /** Ticks of the control loop that came late in the last seconds, per second. */
  readonly ticks_late_per_s: number;
  readonly vips: readonly TopVip[];
  /** Packets that went to no backend, by reason; those that are lost first. */
  readonly drops: readonly TopDrop[];
  /** The last first. */
  readonly decisions: readonly TopDecision[];
}

/** The flow table. */
export interface TopFlows {
  readonly held: number;
  readonly capacity: number;
  readonly begun_per_s: number;
  /** New flows without a place, and flows that made room for others. */
  readonly refused_per_s: number;
  readonly evicted_per_s: number;
}

export interface TopVip {
  readonly vip: string;
  readonly policy: string;
  /** Kind of samples that latencies are of; empty before the first. */
  readonly kind: string;
  readonly flows_per_s: number;
  readonly packets_per_s: number;
  readonly backends: readonly TopBackend[];
}

export interface TopBackend {
  readonly backend: string;
  readonly state: AdminState;
  readonly health: 'up' | ShownHealth['state'];
  /** What keeps it from being used; null if nothing does. */
  readonly problem: string | null;
  /** Fraction of the slots, and of the configured weights. */
  readonly share: number;
  readonly weight: number;
  readonly flows_per_s: number;
  readonly packets_per_s: number;
  readonly flows_held: number;
  /** Requests in flight and the age of the oldest; null where nobody counts them. */
  readonly in_flight: number | null;
  readonly oldest_ms: number | null;
  /** Of the last second that had a sample, of the last ten; null if none had. */
  readonly p50_ns: number | null;
  readonly p99_ns: number | null;
  /** p99 of each second of the last minute, the latest last; null for a second without samples. */
  readonly p99_ns_by_second: readonly (number | null)[];
}

export interface TopDrop {
  readonly reason: string;
  readonly is_lost: boolean;
  readonly per_s: number;
  readonly total: number;
}

export interface TopDecision {
  /** Times of its first and its last step. */
  readonly from: string;
  readonly until: string;
  readonly vip: string;
  readonly backend: string;
  readonly steps: number;
  readonly text: string;
}

const latencyFrames = 10;
const nsPerUs = 1e3;

/** What there is to show; undefined before the first frame. */
export function topView(feed: TopFeed): TopView | undefined {
  const { about, frames, decisions } = feed;
  const last = frames.at(-1);
  if (!about || !last) return undefined;
  const span = new Span(frames);
  return {
    schema: 'inband.top/1',
    time: new Date(last.t * 1e3).toISOString(),
    version: about.version,
    interface: about.interface,
    datapath: about.datapath,
    uptime_s: last.uptimeS,
    packets_per_s: span.rateOfAll(Object.keys(last.packets)),
    lost_per_s: span.rateOfAll(lostReasons),
    flows: {
      held: last.flows.active ?? 0,
      capacity: about.flowsCapacity,
      begun_per_s: span.rate(({ flows }) => flows.created),
      refused_per_s: span.rate(({ flows }) => flows.refused),
      evicted_per_s: span.rate(({ flows }) => (flows.evicted_idle ?? 0) + (flows.evicted_unestablished ?? 0)),
    },
    ticks_late_per_s: span.rate(({ ticksLate }) => ticksLate),
    vips: about.vips.map((vip, v) => topVip(vip, v, frames, span)),
    drops: drops(last, span),
    decisions: decisions.slice(0, decisionsMax).flatMap(({ vip, backend, steps, text, ...at }) => {
      const of = about.vips[vip];
      const name = of?.backends[backend]?.name;
      if (of === undefined || name === undefined) return [];
      const [from, until] = [at.from, at.until].map((seconds) => new Date(seconds * 1e3).toISOString());
      return [{ from: from!, until: until!, vip: of.vip, backend: name, steps, text }];
    }),
  };
}

/** The last seconds, of which rates are. */
class Span {
  readonly #first: Frame;
  readonly #last: Frame;
  readonly #seconds: number;

  constructor(frames: readonly Frame[]) {
    this.#last = frames.at(-1)!;
    this.#first = frames.at(-1 - rateFrames) ?? frames[0]!;
    this.#seconds = this.#last.t - this.#first.t;
  }

  /** Of a counter, which is not negative when it began anew; 0 where there is but one frame. */
  rate(counter: (frame: Frame) => number | undefined): number {
    if (!(this.#seconds > 0)) return 0;
    const rate = ((counter(this.#last) ?? 0) - (counter(this.#first) ?? 0)) / this.#seconds;
    return Number(Math.max(0, rate).toPrecision(6));
  }

  rateOfAll(reasons: readonly string[]): number {
    return this.rate(({ packets }) => reasons.reduce((sum, reason) => sum + (packets[reason] ?? 0), 0));
  }
}

function topVip(about: AboutVip, v: number, frames: readonly Frame[], span: Span): TopVip {
  const last = frames.at(-1)!.vips[v]!;
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    vip: about.vip,
    policy: about.policy,
    kind: last.kind,
    flows_per_s: span.rate(({ vips }) => sum(vips[v]!.flows)),
    packets_per_s: span.rate(({ vips }) => sum(vips[v]!.packets)),
    backends: about.backends.map(({ name, weight }, b): TopBackend => {
      const of = frames.map(({ vips }) => vips[v]!);
      return {
        backend: name,
        state: last.states[b] ?? 'ready',
        health: last.health[b]?.state ?? 'up',
        problem: problemOf(last, b),
        share: last.share[b]!,
        weight: Number(weight.toFixed(5)),
        flows_per_s: span.rate(({ vips }) => vips[v]!.flows[b]),
        packets_per_s: span.rate(({ vips }) => vips[v]!.packets[b]),
        flows_held: last.held[b]!,
        in_flight: last.inFlight[b] ?? null,
        oldest_ms: last.oldestMs[b] ?? null,
        p50_ns: lately(of, ({ p50 }) => p50[b]),
        p99_ns: lately(of, ({ p99 }) => p99[b]),
        p99_ns_by_second: of.slice(-60).map(({ kind, p99 }) => (kind === last.kind ? inNs(p99[b]) : null)),
      };
    }),
  };
}

const inNs = (us: number | null | undefined): number | null => (us == null ? null : Math.round(us * nsPerUs));

/** The latest value there is, of the same kind of samples. */
function lately(
  frames: readonly VipFrame[],
  value: (frame: VipFrame) => number | null | undefined,
): number | null {
  const { kind } = frames.at(-1)!;
  const found = frames.slice(-latencyFrames).findLast((frame) => frame.kind === kind && value(frame) != null);
  return found === undefined ? null : inNs(value(found));
}

function problemOf({ obstacles, health }: VipFrame, b: number): string | null {
  const known = health[b];
  if (obstacles[b] !== undefined) return obstacles[b];
  return known && known.state !== 'unchecked' && known.reason !== '' ? known.reason : null;
}

function drops(last: Frame, span: Span): TopDrop[] {
  return Object.keys(last.packets)
    .filter((reason) => !fineReasons.includes(reason) && last.packets[reason]! > 0)
    .map((reason) => ({
      reason,
      is_lost: lostReasons.includes(reason),
      per_s: span.rate(({ packets }) => packets[reason]),
      total: last.packets[reason]!,
    }))
    .sort((a, b) => Number(b.is_lost) - Number(a.is_lost) || b.per_s - a.per_s || b.total - a.total);
}
