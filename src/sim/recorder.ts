import type { Balancer } from './balancer.ts';
import type { Scenario } from './scenario.ts';
import { Sketch } from './sketch.ts';

export const phaseNames = ['before', 'during', 'after'] as const;

/** Points of the timeline. */
export const stepCount = 240;
/** A change of the focus' share by less than this is not remembered; of those that are, so many. */
const shareStep = 0.002;
const sharePointsMax = 500_000;

/** Requests and shares of one phase. */
export class Phase {
  readonly latency = new Sketch();
  failed = 0;
  slotsMoved = 0;
  readonly requestsOf: Float64Array;
  /** Integrals over time of each backend's share and its square, over all load balancers, and of time itself. */
  readonly shareNs: Float64Array;
  readonly squareNs: Float64Array;
  spanNs = 0;
  /** Largest distance of any share at any load balancer from the configured one, as a fraction of that. */
  deviation = 0;

  constructor(backends: number) {
    this.requestsOf = new Float64Array(backends);
    this.shareNs = new Float64Array(backends);
    this.squareNs = new Float64Array(backends);
  }

  /** Adds the same phase of another run. */
  merge(other: Phase): void {
    this.latency.merge(other.latency);
    this.failed += other.failed;
    this.slotsMoved += other.slotsMoved;
    this.spanNs += other.spanNs;
    this.deviation = Math.max(this.deviation, other.deviation);
    for (let b = 0; b < this.requestsOf.length; b++) {
      this.requestsOf[b]! += other.requestsOf[b]!;
      this.shareNs[b]! += other.shareNs[b]!;
      this.squareNs[b]! += other.squareNs[b]!;
    }
  }
}

/** What happens between two points of the timeline. */
export interface Step {
  readonly atNs: number;
  readonly count: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
  readonly failed: number;
  /** Mean over the step and the load balancers. */
  readonly shares: readonly number[];
}

/** Collects what a run is judged by. Requests count in the phase in which they passed the load balancer. */
export class Recorder {
  readonly phases: readonly Phase[];
  readonly steps: Step[] = [];
  /** The focus' share, summed over its servers, mean over the load balancers: value after each change, and when. */
  readonly focusNs: number[] = [];
  readonly focusShare: number[] = [];
  readonly #scenario: Scenario;
  readonly #balancers: readonly Balancer[];
  readonly #stepNs: number;
  readonly #step = new Sketch();
  #stepFailed = 0;
  /** Integral of each backend's share over the step's time, over all load balancers. */
  readonly #stepShareNs: Float64Array;
  #stepEndNs: number;
  /** 0 to 2; -1 while the run warms up. */
  #phase = -1;
  #phaseEndNs: number;
  #slotsBefore = 0;
  /** Per load balancer: its shares since the latest change, and when that was. */
  readonly #shares: Float64Array[];
  readonly #sinceNs: Float64Array;

  constructor(scenario: Scenario, balancers: readonly Balancer[]) {
    this.#scenario = scenario;
    this.#balancers = balancers;
    this.phases = phaseNames.map(() => new Phase(scenario.servers.length));
    this.#stepNs = scenario.durationNs / stepCount;
    this.#stepEndNs = this.#stepNs;
    this.#stepShareNs = new Float64Array(scenario.servers.length);
    this.#phaseEndNs = scenario.warmupNs;
    this.#shares = balancers.map(({ pool }) => Float64Array.from(pool.shares));
    this.#sinceNs = new Float64Array(balancers.length);
    this.#noteFocus(0);
  }

  /** A request that passed now: how long the client waited for its response. */
  served(nowNs: number, backend: number, latencyNs: number): void {
    if (nowNs >= this.#stepEndNs) this.#endSteps(nowNs);
    if (nowNs >= this.#phaseEndNs) this.#endPhases(nowNs);
    this.#step.add(latencyNs);
    if (this.#phase < 0) return;
    const phase = this.phases[this.#phase]!;
    phase.latency.add(latencyNs);
    phase.requestsOf[backend]!++;
  }

  /** A request that got no response; how long the client waited if it counts as a latency, which a quick reset does not. */
  failed(nowNs: number, backend: number, latencyNs: number | undefined): void {
    if (latencyNs !== undefined) this.served(nowNs, backend, latencyNs);
    this.#stepFailed++;
    if (this.#phase >= 0) this.phases[this.#phase]!.failed++;
  }

  /** The shares of a load balancer have changed. */
  changed(index: number, nowNs: number): void {
    if (nowNs >= this.#stepEndNs) this.#endSteps(nowNs);
    if (nowNs >= this.#phaseEndNs) this.#endPhases(nowNs);
    this.#integrate(index, nowNs);
    this.#shares[index]!.set(this.#balancers[index]!.pool.shares);
    if (this.#phase >= 0) this.#noteDeviation(index, this.phases[this.#phase]!);
    this.#noteFocus(nowNs);
  }

  finish(nowNs: number): void {
    this.#endSteps(nowNs);
    this.#endPhases(nowNs);
    this.#endPhase(nowNs);
  }

  #noteDeviation(index: number, phase: Phase): void {
    const { weights, shares } = this.#balancers[index]!.pool;
    for (let b = 0; b < shares.length; b++) {
      phase.deviation = Math.max(phase.deviation, Math.abs(shares[b]! / weights[b]! - 1));
    }
  }

  #noteFocus(nowNs: number): void {
    const { focus } = this.#scenario;
    if (focus.length === 0) return;
    let sum = 0;
    for (const shares of this.#shares) for (const b of focus) sum += shares[b]!;
    const share = sum / this.#shares.length;
    const last = this.focusShare.at(-1);
    if (last !== undefined && Math.abs(share - last) < shareStep) return;
    if (this.focusNs.length === sharePointsMax) return;
    this.focusNs.push(nowNs);
    this.focusShare.push(share);
  }

  #integrate(index: number, nowNs: number): void {
    const spanNs = nowNs - this.#sinceNs[index]!;
    this.#sinceNs[index] = nowNs;
    const shares = this.#shares[index]!;
    for (let b = 0; b < shares.length; b++) this.#stepShareNs[b]! += shares[b]! * spanNs;
    if (this.#phase < 0) return;
    const phase = this.phases[this.#phase]!;
    phase.spanNs += spanNs;
    for (let b = 0; b < shares.length; b++) {
      phase.shareNs[b]! += shares[b]! * spanNs;
      phase.squareNs[b]! += shares[b]! * shares[b]! * spanNs;
    }
  }

  #endSteps(nowNs: number): void {
    while (nowNs >= this.#stepEndNs && this.steps.length < stepCount) {
      const step = this.#step;
      for (let i = 0; i < this.#balancers.length; i++) this.#integrate(i, this.#stepEndNs);
      const timeNs = this.#stepNs * this.#balancers.length;
      this.steps.push({
        atNs: this.#stepEndNs - this.#stepNs,
        count: step.count,
        p50Ns: step.percentileNs(50),
        p99Ns: step.percentileNs(99),
        failed: this.#stepFailed,
        shares: Array.from(this.#stepShareNs, (shareNs) => shareNs / timeNs),
      });
      step.reset();
      this.#stepShareNs.fill(0);
      this.#stepFailed = 0;
      // Not added up, so that the last step ends with the run.
      this.#stepEndNs = (this.steps.length + 1) * this.#stepNs;
    }
  }

  #endPhases(nowNs: number): void {
    const { durationNs, duringFromNs, duringUntilNs } = this.#scenario;
    const ends = [duringFromNs, duringUntilNs, durationNs];
    while (this.#phase < 2 && nowNs >= this.#phaseEndNs) {
      this.#endPhase(this.#phaseEndNs);
      this.#phase++;
      this.#phaseEndNs = ends[this.#phase]!;
      for (let i = 0; i < this.#balancers.length; i++) this.#noteDeviation(i, this.phases[this.#phase]!);
    }
    if (this.#phase === 2 && nowNs >= durationNs) this.#phaseEndNs = Number.POSITIVE_INFINITY;
  }

  #endPhase(nowNs: number): void {
    for (let i = 0; i < this.#balancers.length; i++) this.#integrate(i, nowNs);
    const slots = this.#balancers.reduce((sum, { slotsMoved }) => sum + slotsMoved, 0);
    if (this.#phase >= 0) this.phases[this.#phase]!.slotsMoved += slots - this.#slotsBefore;
    this.#slotsBefore = slots;
  }
}
