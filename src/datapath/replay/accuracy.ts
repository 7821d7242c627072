import { signedKinds } from '../../latency/estimator.ts';
import { mean, median, quantile, Reservoir } from './reservoir.ts';
import type { EstimatorError } from './result.ts';
import { type TruthKind, truthKindOf } from './truth.ts';

/** Length of the windows that a controller would compare: estimators.md speaks of 100 ms. */
const windowNs = 100e6;
/** Errors kept for percentiles per estimator and backend. */
const errorsMax = 500_000;
/** Values kept for the median of one window. */
const windowValuesMax = 2_000;
/** Windows kept per estimator and backend: almost three hours. */
const windowsMax = 100_000;

/** Latencies by window of time, for the median of each. */
class Windows {
  readonly #windows = new Map<number, Reservoir>();

  add(timeNs: number, latencyNs: number): void {
    const at = Math.floor(timeNs / windowNs);
    let window = this.#windows.get(at);
    if (!window) {
      if (this.#windows.size === windowsMax) return;
      window = new Reservoir(windowValuesMax);
      this.#windows.set(at, window);
    }
    window.add(latencyNs);
  }

  /** What each window is typically like: the median, or the mean of kinds of which only that tells something. */
  typical(isSigned: boolean): Map<number, number> {
    return new Map([...this.#windows].map(([at, { values }]) => [at, (isSigned ? mean : median)(values)!]));
  }
}

/** How far one estimator's samples of one backend are from the truth. */
class BackendAccuracy {
  readonly errors = new Reservoir(errorsMax);
  readonly windows = new Windows();
}

/**
 * Compares samples with the truth: each sample with the truth of the request that it began with, and per backend and
 * window the medians of all samples and all truths.
 */
export class Accuracy {
  readonly #kinds: readonly TruthKind[];
  /** Kinds whose single samples may be negative: only means of them tell something. */
  readonly #isSigned: readonly boolean[];
  readonly #samples: (BackendAccuracy | undefined)[] = [];
  readonly #truths: (Windows | undefined)[] = [];

  /** @param kinds names of the kinds of samples */
  constructor(kinds: readonly string[]) {
    this.#kinds = kinds.map(truthKindOf);
    this.#isSigned = kinds.map((kind) => signedKinds.includes(kind));
  }

  addTruth(backend: number, kind: TruthKind, sentNs: number, latencyNs: number): void {
    const at = backend * 2 + (kind === 'handshake' ? 1 : 0);
    let windows = this.#truths[at];
    if (!windows) this.#truths[at] = windows = new Windows();
    windows.add(sentNs, latencyNs);
  }

  addSample(backend: number, kind: number, startNs: number, latencyNs: number): void {
    this.#of(backend, kind).windows.add(startNs, latencyNs);
  }

  /** @param truthNs latency of the request that the sample began with; NaN if it is not known */
  addError(backend: number, kind: number, latencyNs: number, truthNs: number): void {
    if (truthNs > 0 && !this.#isSigned[kind])
      this.#of(backend, kind).errors.add((latencyNs - truthNs) / truthNs);
  }

  #of(backend: number, kind: number): BackendAccuracy {
    const at = backend * this.#kinds.length + kind;
    let accuracy = this.#samples[at];
    if (!accuracy) this.#samples[at] = accuracy = new BackendAccuracy();
    return accuracy;
  }

  /** Over one backend, or pooled over several; each window stays one backend's. */
  summary(backends: readonly number[], kind: number): EstimatorError {
    const found = backends
      .map((b) => ({
        truth: this.#truths[b * 2 + (this.#kinds[kind] === 'handshake' ? 1 : 0)],
        samples: this.#samples[b * this.#kinds.length + kind],
      }))
      .filter(({ samples }) => samples !== undefined);
    const errors = Float64Array.from(found.flatMap(({ samples }) => samples!.errors.values)).sort();
    const absolute = errors.map(Math.abs).sort();
    const windows = Float64Array.from(
      found.flatMap(({ truth, samples }) => windowErrors(samples!.windows, truth, this.#isSigned[kind]!)),
    ).sort();
    return {
      matched: found.reduce((sum, { samples }) => sum + samples!.errors.total, 0),
      median_relative_error: quantile(errors, 0.5),
      p95_absolute_relative_error: quantile(absolute, 0.95),
      within_20_percent:
        absolute.length === 0 ? null : absolute.reduce((n, e) => n + (e <= 0.2 ? 1 : 0), 0) / absolute.length,
      windows: windows.length,
      window_error_p50: quantile(windows, 0.5),
      window_error_p90: quantile(windows, 0.9),
    };
  }
}

function windowErrors(samples: Windows, truth: Windows | undefined, isSigned: boolean): number[] {
  const truths = truth?.typical(isSigned) ?? new Map<number, number>();
  return [...samples.typical(isSigned)].flatMap(([at, estimate]) => {
    const actual = truths.get(at);
    return actual ? [Math.abs(estimate / actual - 1)] : [];
  });
}
