import { Balance } from '../../src/control/balance.ts';
import type { Policy } from '../../src/control/policy.ts';
import { Window } from '../../src/latency/window.ts';
import { ns } from '../../src/units.ts';
import { anInput } from './input.ts';
import type { GivenSignals } from './signals.ts';

/** What each backend answers in at a moment: a latency in us, or undefined where none answers. */
export type Latencies = readonly (number | undefined)[];

/** A pool of backends on a policy, with time in ms; what backends carry follows their shares. */
export class Scene {
  readonly policy: Policy;
  readonly windows: Window[];
  readonly weights: Float64Array;
  readonly shares: Float64Array;
  readonly usable: Uint8Array;
  kind = 'request';
  /** What counts requests, if a test gives it: where none answers, four wait from the moment it stopped. */
  signals: GivenSignals[] = [];
  nowMs = 0;
  /** Samples of all backends per ms. */
  perMs = 20;
  readonly #due: Float64Array;

  constructor(backends: number, policy: Policy = new Balance()) {
    this.policy = policy;
    this.windows = Array.from({ length: backends }, () => new Window());
    this.weights = new Float64Array(backends).fill(1 / backends);
    this.shares = Float64Array.from(this.weights);
    this.usable = new Uint8Array(backends).fill(1);
    this.#due = new Float64Array(backends);
  }

  /** Lets ticks of 1 ms pass, in each of which the backends with a latency give as many samples as their shares say. */
  run(ms: number, latencies: Latencies | ((ms: number) => Latencies)): void {
    for (let i = 0; i < ms; i++) {
      this.nowMs++;
      const given = typeof latencies === 'function' ? latencies(this.nowMs) : latencies;
      given.forEach((us, b) => {
        this.#due[b]! += this.perMs * this.shares[b]!;
        for (; this.#due[b]! >= 1; this.#due[b]!--) {
          if (us === undefined) continue;
          this.windows[b]!.record(us * 1000);
          this.signals[b]?.answer(1);
        }
        this.#count(b, us !== undefined);
      });
      this.tick();
    }
  }

  tick(): boolean {
    const { windows, signals, weights, shares, usable, kind, nowMs } = this;
    const now = ns(nowMs * 1e6);
    return this.policy.decide(anInput({ now, kind, windows, signals, weights, shares, usable }));
  }

  #count(b: number, answers: boolean): void {
    const signals = this.signals[b];
    if (!signals) return;
    if (answers) signals.sentNs = [];
    else if (signals.inFlight === 0) signals.sentNs = new Array(4).fill((this.nowMs - 1) * 1e6);
    signals.update(this.nowMs * 1e6);
  }
}
