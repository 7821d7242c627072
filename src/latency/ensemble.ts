import { InbandError } from '../errors.ts';
import type { Packet } from '../net/packet.ts';
import { formatDuration, type Ns, ns } from '../units.ts';
import type { Emit, Estimator, EstimatorSize } from './estimator.ts';
import { roomFor } from './room.ts';

/** Timeouts that one estimator may have: 64 us doubling that often spans every latency there is. */
export const timeoutsMax = 32;

/** As the paper has it (section 3): 64 us doubling to 4.096 ms, epochs of 64 ms. */
export const timeoutsDefault: readonly Ns[] = [64e3, 128e3, 256e3, 512e3, 1024e3, 2048e3, 4096e3].map(ns);
export const epochDefault = ns(64e6);

/**
 * What the ratio N_i / N_{i+1} of two counts is where they are small, which the paper leaves open. `infinite`: as
 * arithmetic says, so that a count of 0 wins and one stray gap can decide an epoch. `smooth`: 1 is added to both.
 * `damped`: 1 and a sixteenth of N_1 are added to both, so that the tail of a distribution, where a few samples fall to
 * none, does not pass for the cliff.
 */
export const cliffs = ['infinite', 'smooth', 'damped'] as const;
export type Cliff = (typeof cliffs)[number];

/** What is added to both counts: `more`, and N_1 >> `shift`; counts are below 2^31. */
export const cliffAddends: Readonly<Record<Cliff, { more: number; shift: number }>> = {
  infinite: { more: 0, shift: 31 },
  smooth: { more: 1, shift: 31 },
  damped: { more: 1, shift: 4 },
};

export interface EnsembleOptions {
  /** Increasing, 2 to `timeoutsMax` of them. */
  readonly timeoutsNs: readonly Ns[];
  readonly epochNs: Ns;
  readonly cliff: Cliff;
  /** Whether samples are counted (and a timeout chosen) per flow, or per backend over all of its flows. */
  readonly counts: 'flow' | 'backend';
}

/**
 * ENSEMBLETIMEOUT, Algorithm 2 of "Load Balancers Need In-Band Feedback Control" (HotNets'22): FIXEDTIMEOUT with k
 * timeouts side by side; each epoch the timeout whose sample count falls most steeply to the next larger one (the
 * sample cliff) is chosen, and its samples are the estimate in the next epoch.
 *
 * Readings that the text leaves open, other than the two in `EnsembleOptions`:
 * - an epoch starts with the first packet at least E after the start of the one before (the first: a flow's first
 *   packet); that packet still counts in the old epoch and is judged by the new timeout, as lines 1-12 are ordered;
 * - i runs from 1 to k-1, since N_{k+1} does not exist: the largest timeout is never chosen;
 * - equal ratios: the smallest timeout wins (argmax takes the first); an epoch without any sample keeps its timeout;
 * - there is no estimate before the first epoch has ended;
 * - counted per backend, an epoch starts and ends with flows' later packets only: their first can yield no sample.
 */
export class EnsembleTimeout implements Estimator {
  readonly name: string;
  readonly kinds: readonly string[];
  readonly bytesPerFlow: number;
  readonly #timeouts: Float64Array;
  readonly #epochNs: number;
  readonly #addend: { more: number; shift: number };
  readonly #perFlow: boolean;
  /** Per flow: time of the last packet, then the first packet of the last batch for each timeout. */
  readonly #times: Float64Array;
  /** Per scope (flow or backend): samples per timeout in this epoch. */
  #counts: Uint32Array;
  /** Per scope: start of the epoch; NaN before the first packet. */
  #epochs: Float64Array;
  /** Per scope: index of the chosen timeout; -1 before the first epoch has ended. */
  #chosen: Int8Array;

  /** @throws InbandError `USAGE` if the timeouts are too few, too many or not increasing. */
  constructor(options: EnsembleOptions, size: EstimatorSize) {
    const { timeoutsNs, epochNs, cliff, counts } = options;
    checkTimeouts(timeoutsNs, timeoutsMax);
    this.name = `ensemble:${cliff}:${counts}`;
    this.kinds = [this.name];
    this.#timeouts = Float64Array.from(timeoutsNs);
    this.#epochNs = epochNs;
    this.#addend = cliffAddends[cliff];
    this.#perFlow = counts === 'flow';
    const k = timeoutsNs.length;
    const scopes = this.#perFlow ? size.flows : size.backends;
    this.bytesPerFlow = 8 * (k + 1) + (this.#perFlow ? 4 * k + 8 + 1 : 0);
    this.#times = new Float64Array((k + 1) * size.flows);
    this.#counts = new Uint32Array(k * scopes);
    this.#epochs = new Float64Array(scopes).fill(Number.NaN);
    this.#chosen = new Int8Array(scopes).fill(-1);
  }

  open(flow: number, _backend: number, _packet: Packet, now: Ns): void {
    const at = flow * (this.#timeouts.length + 1);
    this.#times.fill(now, at, at + this.#timeouts.length + 1);
    if (!this.#perFlow) return;
    this.#counts.fill(0, flow * this.#timeouts.length, (flow + 1) * this.#timeouts.length);
    this.#epochs[flow] = now;
    this.#chosen[flow] = -1;
  }

  observe(flow: number, backend: number, _packet: Packet, now: Ns, emit: Emit): void {
    const timeouts = this.#timeouts;
    const k = timeouts.length;
    const times = this.#times;
    const last = flow * (k + 1);
    const scope = this.#perFlow ? flow : backend;
    const gap = now - times[last]!;
    let crossed = 0;
    for (const counts = scope * k; crossed < k && gap > timeouts[crossed]!; crossed++) {
      this.#counts[counts + crossed]!++;
    }
    if (!(now - this.#epochs[scope]! < this.#epochNs)) this.#endEpoch(scope, now);
    const chosen = this.#chosen[scope]!;
    const isSample = chosen >= 0 && crossed > chosen;
    const latencyNs = now - times[last + 1 + chosen]!;
    times[last] = now;
    for (let i = 1; i <= crossed; i++) times[last + i] = now;
    if (isSample) emit(0, latencyNs);
  }

  skip(flow: number, now: Ns): void {
    this.#times[flow * (this.#timeouts.length + 1)] = now;
  }

  begin(backend: number): void {
    if (this.#perFlow) return;
    const k = this.#timeouts.length;
    const count = backend + 1;
    this.#counts = roomFor(this.#counts, count * k).fill(0, backend * k, count * k);
    this.#epochs = roomFor(this.#epochs, count).fill(Number.NaN, backend, count);
    this.#chosen = roomFor(this.#chosen, count).fill(-1, backend, count);
  }

  /** Chooses the timeout at the sample cliff of the epoch that ends now. The first packet of a backend only starts its first epoch. */
  #endEpoch(scope: number, now: Ns): void {
    if (!Number.isNaN(this.#epochs[scope]!)) {
      const cliff = this.#cliff(scope);
      if (cliff >= 0) this.#chosen[scope] = cliff;
      this.#counts.fill(0, scope * this.#timeouts.length, (scope + 1) * this.#timeouts.length);
    }
    this.#epochs[scope] = now;
  }

  /** Index of the timeout after which the counts fall most, -1 without a sample. */
  #cliff(scope: number): number {
    const k = this.#timeouts.length;
    const from = scope * k;
    const more = this.#addend.more + (this.#counts[from]! >>> this.#addend.shift);
    if (this.#counts[from] === 0) return -1;
    let best = -1;
    let bestRatio = 0;
    for (let i = 0; i < k - 1; i++) {
      const ratio = (this.#counts[from + i]! + more) / (this.#counts[from + i + 1]! + more);
      // 0 / 0 is no ratio: beyond the last timeout with a sample there is no cliff.
      if (ratio > bestRatio) {
        best = i;
        bestRatio = ratio;
      }
    }
    return best;
  }
}

/** @throws InbandError `USAGE` unless there are 2 to `max` timeouts, each larger than the one before. */
export function checkTimeouts(timeoutsNs: readonly Ns[], max: number): void {
  const increasing = timeoutsNs.every((timeout, i) => timeout > (timeoutsNs[i - 1] ?? 0));
  if (timeoutsNs.length < 2 || timeoutsNs.length > max || !increasing) {
    const given = timeoutsNs.map(formatDuration).join(',');
    throw new InbandError('USAGE', `timeouts: '${given}' is not 2 to ${max} increasing durations`, {
      hint: 'for example 64us,128us,256us,512us,1024us,2048us,4096us',
    });
  }
}
