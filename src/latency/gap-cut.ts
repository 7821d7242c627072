/** Gaps of at least this many ticks of 64 ns (2.1 s) are idleness: they are not counted. */
export const gapTicksMax = 2 ** 25;

/** Buckets of gaps: below 16.4 us, then two to an octave (the upper from 1.5 times the lower on) up to `gapTicksMax`. */
export const gapBuckets = 35;

const ticksLog2Min = 8;

/** Bucket of a gap of 0 to `gapTicksMax` - 1 ticks. */
export function gapBucketOf(ticks: number): number {
  if (ticks < 1 << ticksLog2Min) return 0;
  const octave = 31 - Math.clz32(ticks);
  return 1 + 2 * (octave - ticksLog2Min) + ((ticks >> (octave - 1)) & 1);
}

/** Gaps that a cliff needs above it; fewer may be anything. */
const gapsAboveMin = 8;

/** An exponential distribution falls at most 2.6 times within an octave, seen through the damping. */
const fallMin = 3;

/** A mode takes two buckets, wherever in them it lies; the cut leaves one free below. */
const modeBuckets = 2;

/** Per call: gaps of a bucket and above; two more of 0, so that the last bucket has a next octave. */
const above = new Uint32Array(gapBuckets + modeBuckets);

/**
 * The bucket from which on a gap separates batches; 0 if the histogram shows none.
 *
 * Counts of gaps of a bucket and above fall most, from one octave to the next, where the mode of waiting ends (the
 * paper's sample cliff; counts of ENSEMBLETIMEOUT are such sums). Both counts of a ratio are raised by one and a sixteenth
 * of all gaps from 16 us on, so that the few of a tail falling to none are no cliff. Between a packet and its response at
 * most one gap is longer than half the latency: half an octave below the mode no latency is cut in two, yet a mode that
 * spreads a little downwards is taken in.
 *
 * There must be as many gaps an octave or more below the mode as in and above it: without them gaps are of one size, which
 * pacing makes as well as waiting.
 *
 * @param histogram gaps by bucket from index `from` on, below 2^14 in all, so that products stay below 2^31
 * @param valleyMax more than 0 where each response sets off one request: then the octave below the mode must hold at most
 * a quarter of it (think time has no such valley), and the cut is lowered by up to this many buckets of at most an eighth of
 * it, in which lie bursts torn apart. 0 for uploads, whose acknowledgements come in pieces.
 */
export function chooseCut(histogram: Uint32Array, from: number, valleyMax: number): number {
  for (let i = gapBuckets - 1; i >= 0; i--) above[i] = above[i + 1]! + histogram[from + i]!;
  const damping = 1 + (above[1]! >> 4);
  let best = 0;
  for (let i = modeBuckets + 1; i < gapBuckets - 1 && above[i]! >= gapsAboveMin; i++) {
    if (best === 0 || isSteeper(i, best, damping)) best = i;
  }
  if (best === 0) return 0;
  // The fall is as steep where the first of the two buckets is nearly empty.
  if (4 * histogram[from + best]! < histogram[from + best + 1]!) best++;
  const fine = above[0]! - above[best - modeBuckets]!;
  const falls = above[best]! + damping >= fallMin * (above[best + modeBuckets]! + damping);
  if (!falls || fine < above[best]!) return 0;
  const mode = above[best]! - above[best + modeBuckets]!;
  if (valleyMax > 0 && 4 * (above[best - modeBuckets]! - above[best]!) > mode) return 0;
  let cut = best - 1;
  while (cut > 1 && best - 1 - cut < valleyMax && 8 * histogram[from + cut - 1]! <= mode) cut--;
  return cut;
}

/** Whether the counts fall more from one octave to the next at `a` than at `b`. */
function isSteeper(a: number, b: number, damping: number): boolean {
  const fallA = (above[a]! + damping) * (above[b + modeBuckets]! + damping);
  const fallB = (above[b]! + damping) * (above[a + modeBuckets]! + damping);
  return fallA > fallB;
}
