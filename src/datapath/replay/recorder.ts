import { Window, WindowSet } from '../../latency/window.ts';
import { Reservoir } from './reservoir.ts';
import type { EstimatorSummary, LatencySeries } from './result.ts';

/** Points per series of a picture: more cannot be told apart. */
const pointsMax = 3_000;

/** A series of (time, latency) thinned to `pointsMax` points, evenly at random over all. */
class Points {
  readonly #times = new Reservoir(pointsMax);
  readonly #latencies: number[] = [];

  add(timeNs: number, latencyNs: number): void {
    const at = this.#times.add(timeNs);
    if (at >= 0) this.#latencies[at] = latencyNs;
  }

  series(estimator: string, backend: string, originNs: number): LatencySeries {
    const order = this.#times.values
      .map((_, i) => i)
      .sort((a, b) => this.#times.values[a]! - this.#times.values[b]!);
    return {
      estimator,
      backend,
      timeS: order.map((i) => (this.#times.values[i]! - originNs) / 1e9),
      latencyNs: order.map((i) => this.#latencies[i]!),
      total: this.#times.total,
    };
  }
}

/** Points over time for any number of named series, in order of appearance. */
export class Timeline {
  readonly #series = new Map<string, { estimator: string; backend: number; points: Points }>();

  add(estimator: string, backend: number, timeNs: number, latencyNs: number): void {
    const key = `${backend} ${estimator}`;
    let series = this.#series.get(key);
    if (!series) {
      series = { estimator, backend, points: new Points() };
      this.#series.set(key, series);
    }
    series.points.add(timeNs, latencyNs);
  }

  /**
   * @param names of the backends by number
   * @param originNs the time that the series count from
   */
  series(names: readonly string[], originNs: number): LatencySeries[] {
    return [...this.#series.values()].map(({ estimator, backend, points }) =>
      points.series(estimator, names[backend]!, originNs),
    );
  }
}

/** All samples of a replay by backend and kind. */
export class Recorder {
  readonly #kinds: readonly string[];
  readonly #windows: WindowSet;

  constructor(kinds: readonly string[]) {
    this.#kinds = kinds;
    this.#windows = new WindowSet(kinds.length);
  }

  window(backend: number, kind: number): Window {
    return this.#windows.of(backend, kind);
  }

  /** Over several backends together. */
  summary(backends: readonly number[], kind: number): EstimatorSummary {
    const window = this.#over(backends, kind);
    const known = (value: number) => (window.count === 0 ? null : value);
    return {
      estimator: this.#kinds[kind]!,
      samples: window.count,
      p50_ns: known(window.percentileNs(50)),
      p90_ns: known(window.percentileNs(90)),
      p99_ns: known(window.percentileNs(99)),
      mean_ns: known(Math.round(window.meanNs)),
      max_ns: known(window.maxNs),
    };
  }

  #over(backends: readonly number[], kind: number): Window {
    const windows = backends.flatMap((backend) => this.#windows.peek(backend, kind) ?? []);
    if (windows.length === 1) return windows[0]!;
    const sum = new Window();
    for (const window of windows) sum.add(window);
    return sum;
  }
}
