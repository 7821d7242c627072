import type { Packet } from '../net/packet.ts';
import type { Ns } from '../units.ts';
import type { Emit, Estimator, EstimatorSize } from './estimator.ts';
import { gapBucketOf, gapBuckets, gapTicksMax } from './gap-cut.ts';
import { roomFor } from './room.ts';

/** Gaps after which the prominent ones are looked for again. */
const gapsPerEpoch = 512;

/** A peak is prominent if it stands out by this part of all gaps (a power of two), and by this many. */
const prominenceShift = 7;
const prominenceMin = 8;

/** Without a valley, gaps down to this many half-octaves below the peak (half of it) belong to it. */
const peakBuckets = 2;

/**
 * A baseline to compare with: our reading of PIRATE ("Measuring Response Latencies Under Asymmetric Routing",
 * arXiv 2505.14358).
 *
 * Published, in its abstract: response latencies are measured from one direction of traffic, whatever its headers say, by
 * causal pairs of packets; the pairs are found by prominent gaps in the distribution of gaps between packets; the mean
 * latency is what is estimated, with a median error of about 1 % against a client's own log.
 *
 * Our reading of what that leaves open, which the authors may have done otherwise: gaps are counted per backend over
 * half-octaves, smoothed over three and halved every 512 gaps; a peak is prominent by its height above the higher of the
 * valleys around it; the longest prominent gaps are those of waiting for a response; the valley before them is the
 * threshold; the first packets of the bursts on both sides of a gap are the causal pair, and the time between them is a
 * sample. All packets count alike, also those that carry nothing.
 *
 * Latencies are multiples of 64 ns, up to 2.1 s.
 */
export class Pirate implements Estimator {
  readonly name = 'pirate';
  readonly kinds = ['pirate'];
  readonly bytesPerFlow = 16;
  /** Per flow: time of the last packet, and of the first packet of its burst, in ns; NaN where that is not known. */
  readonly #times: Float64Array;
  /** Per backend: gaps by bucket, gaps in this epoch, smallest bucket of gaps that are waits (0 without). */
  #histogram: Uint32Array;
  #gaps: Uint32Array;
  #threshold: Uint8Array;

  constructor({ flows, backends }: EstimatorSize) {
    this.#times = new Float64Array(2 * flows);
    this.#histogram = new Uint32Array(gapBuckets * backends);
    this.#gaps = new Uint32Array(backends);
    this.#threshold = new Uint8Array(backends);
  }

  open(flow: number, _backend: number, _packet: Packet, now: Ns): void {
    this.#times[2 * flow] = now;
    this.#times[2 * flow + 1] = Number.NaN;
  }

  observe(flow: number, backend: number, _packet: Packet, now: Ns, emit: Emit): void {
    const gap = Math.floor((now - this.#times[2 * flow]!) / 64);
    const latency = Math.floor((now - this.#times[2 * flow + 1]!) / 64);
    this.#times[2 * flow] = now;
    if (gap < 0 || gap >= gapTicksMax) {
      this.#times[2 * flow + 1] = Number.NaN;
      return;
    }
    const bucket = gapBucketOf(gap);
    const threshold = this.#threshold[backend]!;
    this.#histogram[backend * gapBuckets + bucket]!++;
    if (++this.#gaps[backend]! >= gapsPerEpoch) this.#endEpoch(backend);
    if (threshold === 0 || bucket < threshold) return;
    this.#times[2 * flow + 1] = now;
    if (latency >= 0 && latency < gapTicksMax) emit(0, latency * 64);
  }

  skip(flow: number, now: Ns): void {
    this.#times[2 * flow] = now;
  }

  begin(backend: number): void {
    const from = backend * gapBuckets;
    this.#histogram = roomFor(this.#histogram, from + gapBuckets).fill(0, from, from + gapBuckets);
    this.#gaps = roomFor(this.#gaps, backend + 1).fill(0, backend, backend + 1);
    this.#threshold = roomFor(this.#threshold, backend + 1).fill(0, backend, backend + 1);
  }

  #endEpoch(backend: number): void {
    const from = backend * gapBuckets;
    const histogram = this.#histogram.subarray(from, from + gapBuckets);
    this.#threshold[backend] = prominentFrom(histogram);
    for (let i = 0; i < gapBuckets; i++) histogram[i]! >>>= 1;
    this.#gaps[backend] = 0;
  }
}

/** Smallest bucket of the longest prominent gaps; 0 if none is prominent. */
function prominentFrom(histogram: Uint32Array): number {
  const smooth = Array.from(
    histogram,
    (count, i) => (histogram[i - 1] ?? 0) + 2 * count + (histogram[i + 1] ?? 0),
  );
  const total = smooth.reduce((sum, count) => sum + count, 0);
  const least = Math.max(4 * prominenceMin, total >> prominenceShift);
  for (let peak = gapBuckets - 1; peak > 0; peak--) {
    const valley = lowestBeforeHigher(smooth, peak, -1);
    const beyond = lowestBeforeHigher(smooth, peak, 1);
    // Beyond the first and the last bucket there is nothing: a valley of no gaps.
    const base = Math.max(smooth[valley] ?? 0, smooth[beyond] ?? 0);
    if (smooth[peak]! - base >= least) return Math.max(1, peak - peakBuckets, valley);
  }
  return 0;
}

/** Index of the lowest value on the way from a peak to a higher one; outside the array if there is no higher one. */
function lowestBeforeHigher(values: readonly number[], peak: number, step: 1 | -1): number {
  let lowest = peak;
  for (let i = peak + step; i >= 0 && i < values.length; i += step) {
    if (values[i]! > values[peak]!) return lowest;
    if (values[i]! < values[lowest]!) lowest = i;
  }
  return step < 0 ? -1 : values.length;
}
