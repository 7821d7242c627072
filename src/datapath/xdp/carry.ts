import { inbandGaps, inbandHistogram, inbandSignals, inbandTraffic } from '../../generated/layout.ts';

/** Shape of what is kept per row (a CPU, or the sweep), backend and, of histograms, kind. */
export interface Shape {
  readonly rows: number;
  readonly backends: number;
  /** Place of each kind, by the kind's number; -1 where there are no histograms of it. Empty for other maps. */
  readonly kindPlaces: readonly number[];
}

/**
 * What the program counted in maps of one shape is summed up in the last row of maps of another, which no CPU writes to:
 * their program may count on meanwhile. It takes the place of what is in that row, so that doing it again does no harm.
 */

const u64 = (buffer: ArrayBuffer) => new BigUint64Array(buffer);
const u32 = (buffer: ArrayBuffer) => new Uint32Array(buffer);

/** Empties the last row, of so many bytes for each backend. */
function clearLastRow(to: ArrayBuffer, { rows, backends }: Shape, bytes: number): void {
  new Uint8Array(to).fill(0, (rows - 1) * backends * bytes, rows * backends * bytes);
}

/** Adds the first `words` 64-bit words of each `stride` from cells of one map to cells of another. */
function addU64(
  from: BigUint64Array,
  to: BigUint64Array,
  cells: Iterable<readonly [from: number, to: number]>,
  { stride, words }: { stride: number; words: number },
): void {
  for (const [source, target] of cells) {
    for (let word = 0; word < words; word++) to[target * stride + word]! += from[source * stride + word]!;
  }
}

/** The cell of each row and backend of a shape, with that of the backend in the last row of another shape. */
function* cellsTo(from: Shape, to: Shape): Generator<readonly [number, number]> {
  const backends = Math.min(from.backends, to.backends);
  for (let row = 0; row < from.rows; row++) {
    for (let backend = 0; backend < backends; backend++)
      yield [row * from.backends + backend, (to.rows - 1) * to.backends + backend];
  }
}

/** Of flows that ended, see `ended`: one word per cell. */
export function carryEnded(from: ArrayBuffer, to: ArrayBuffer, shapes: readonly [Shape, Shape]): void {
  clearLastRow(to, shapes[1], 8);
  addU64(u64(from), u64(to), cellsTo(...shapes), { stride: 1, words: 1 });
}

/** Of traffic: packets, bytes and flows, with which its struct begins. */
export function carryTraffic(from: ArrayBuffer, to: ArrayBuffer, shapes: readonly [Shape, Shape]): void {
  const words = inbandTraffic.fields.epochStartNs.offset / 8;
  clearLastRow(to, shapes[1], inbandTraffic.size);
  addU64(u64(from), u64(to), cellsTo(...shapes), { stride: inbandTraffic.size / 8, words });
}

/** Of signals, which wrap: counts and the wheel. */
export function carrySignals(from: ArrayBuffer, to: ArrayBuffer, shapes: readonly [Shape, Shape]): void {
  const stride = inbandSignals.size / 4;
  clearLastRow(to, shapes[1], inbandSignals.size);
  const [source, target] = [u32(from), u32(to)];
  for (const [a, b] of cellsTo(...shapes)) {
    for (let word = 0; word < stride; word++) target[b * stride + word]! += source[a * stride + word]!;
  }
}

/** Of histograms: kinds that the new shape has none of are dropped. The latest sample stays the latest. */
export function carryHistograms(from: ArrayBuffer, to: ArrayBuffer, shapes: readonly [Shape, Shape]): void {
  const [before, after] = shapes;
  const { fields, size } = inbandHistogram;
  const kindCount = ({ kindPlaces }: Shape) => kindPlaces.filter((place) => place >= 0).length;
  const both = before.kindPlaces.flatMap((place, kind) => {
    const other = after.kindPlaces[kind]!;
    return place < 0 || other < 0 ? [] : [[place, other] as const];
  });
  clearLastRow(to, after, kindCount(after) * size);
  const [old, next] = [u32(from), u32(to)];
  const [oldLong, nextLong] = [u64(from), u64(to)];
  for (const [a, b] of cellsTo(before, after)) {
    for (const [place, other] of both) {
      const source = (a * kindCount(before) + place) * size;
      const target = (b * kindCount(after) + other) * size;
      const long = (field: 'count' | 'sumNs' | 'lastNs' | 'lastTimeNs') => [
        (source + fields[field].offset) / 8,
        (target + fields[field].offset) / 8,
      ];
      const [count, countTo] = long('count');
      if (oldLong[count!] === 0n) continue;
      const [time, timeTo] = long('lastTimeNs');
      const [last, lastTo] = long('lastNs');
      if (nextLong[countTo!] === 0n || oldLong[time!]! > nextLong[timeTo!]!) {
        nextLong[timeTo!] = oldLong[time!]!;
        nextLong[lastTo!] = oldLong[last!]!;
      }
      const [sum, sumTo] = long('sumNs');
      nextLong[sumTo!]! += oldLong[sum!]!;
      const bins = (source + fields.bins.offset) / 4;
      const binsTo = (target + fields.bins.offset) / 4;
      for (let bin = 0; bin < fields.bins.count; bin++) next[binsTo + bin]! += old[bins + bin]!;
      nextLong[countTo!]! += oldLong[count!]!;
    }
  }
}

/** Copies what rows of the old shape have learnt to the same rows of the new one: where batches are separated. */
export function copyGaps(from: ArrayBuffer, to: ArrayBuffer, shapes: readonly [Shape, Shape]): void {
  copyCells(from, to, shapes, inbandGaps.size, 0);
}

/** The same of traffic's epoch of ENSEMBLETIMEOUT, which is behind what is counted. */
export function copyEpochs(from: ArrayBuffer, to: ArrayBuffer, shapes: readonly [Shape, Shape]): void {
  copyCells(from, to, shapes, inbandTraffic.size, inbandTraffic.fields.epochStartNs.offset);
}

function copyCells(
  from: ArrayBuffer,
  to: ArrayBuffer,
  [before, after]: readonly [Shape, Shape],
  size: number,
  offset: number,
): void {
  const [source, target] = [new Uint8Array(from), new Uint8Array(to)];
  for (let row = 0; row < Math.min(before.rows, after.rows); row++) {
    for (let backend = 0; backend < Math.min(before.backends, after.backends); backend++) {
      const at = (row * before.backends + backend) * size;
      const bytes = source.subarray(at + offset, at + size);
      target.set(bytes, (row * after.backends + backend) * size + offset);
    }
  }
}
