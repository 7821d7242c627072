import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  carryEnded,
  carryHistograms,
  carrySignals,
  carryTraffic,
  copyEpochs,
  copyGaps,
  type Shape,
} from '../../src/datapath/xdp/carry.ts';
import { XdpCounters } from '../../src/datapath/xdp/counters.ts';
import {
  inbandCounters,
  inbandGaps,
  inbandHistogram,
  inbandSignals,
  inbandTraffic,
} from '../../src/generated/layout.ts';
import { binCount, LiveBins } from '../../src/latency/bins.ts';
import { WheelSignals } from '../../src/latency/wheel-signals.ts';
import { ns } from '../../src/units.ts';

const shape = (rows: number, backends: number, kindPlaces: readonly number[] = []): Shape => ({
  rows,
  backends,
  kindPlaces,
});
const kindCount = ({ kindPlaces }: Shape) => kindPlaces.filter((place) => place >= 0).length;
const cells = ({ rows, backends }: Shape) => rows * backends;

/** Numbers that no two cells share. */
function fill(words: Uint32Array, from = 1): void {
  for (let i = 0; i < words.length; i++) words[i] = from + i;
}

describe('what was counted', () => {
  const smaller = shape(3, 2);
  const larger = shape(3, 5);

  test('of traffic and of flows that ended reads the same from a larger map', () => {
    const traffic = new Uint32Array((cells(smaller) * inbandTraffic.size) / 4);
    const ended = new Uint32Array(cells(smaller) * 2);
    for (let cell = 0; cell < cells(smaller); cell++) {
      traffic.set([10 + cell, 1, 1000 + cell, 0, 7 + cell, 0, 99, 0], (cell * inbandTraffic.size) / 4);
      ended[2 * cell] = cell;
    }
    const to = {
      traffic: new Uint32Array((cells(larger) * inbandTraffic.size) / 4),
      ended: new Uint32Array(cells(larger) * 2),
    };
    carryTraffic(traffic.buffer, to.traffic.buffer, [smaller, larger]);
    carryEnded(ended.buffer, to.ended.buffer, [smaller, larger]);
    const counters = new Uint32Array((3 * inbandCounters.size) / 4);
    const before = new XdpCounters(counters, traffic, ended, 3, 2);
    const after = new XdpCounters(counters, to.traffic, to.ended, 3, 5);
    for (const backend of [0, 1]) expect(after.traffic(backend)).toEqual(before.traffic(backend));
    expect(after.traffic(1)).toEqual({ packets: 39 + 3 * 2 ** 32, bytes: 3009, flows: 30, held: 21 });
    expect(after.traffic(4)).toEqual({ packets: 0, bytes: 0, flows: 0, held: 0 });
  });

  test('is in the last row of the new map, once however often it is carried, and no other row is touched', () => {
    const from = BigUint64Array.from({ length: cells(smaller) }, () => 1n);
    const to = BigUint64Array.from({ length: cells(larger) }, () => 100n);
    for (const more of [0n, 1n, 1n]) {
      from[0]! += more;
      carryEnded(from.buffer, to.buffer, [smaller, larger]);
      expect([...to.subarray(0, 10)]).toEqual(Array(10).fill(100n));
      expect([...to.subarray(10)]).toEqual([2n + from[0]!, 3n, 0n, 0n, 0n]);
    }
  });

  test('of signals reads the same, also where words wrap', () => {
    const words = inbandSignals.size / 4;
    const from = new Uint32Array(cells(smaller) * words);
    fill(from, 0xffff_ffff - 300);
    const to = new Uint32Array(cells(larger) * words);
    carrySignals(from.buffer, to.buffer, [smaller, larger]);
    for (const backend of [0, 1]) {
      const starts = ({ rows, backends }: Shape) =>
        Array.from({ length: rows }, (_, row) => (row * backends + backend) * words);
      const [before, after] = [new WheelSignals(from, starts(smaller)), new WheelSignals(to, starts(larger))];
      for (const signals of [before, after]) signals.update(ns(1e9));
      expect({ ...after }).toEqual({ ...before });
      expect([after.oldestNs, after.waiting(0)]).toEqual([before.oldestNs, before.waiting(0)]);
      expect(after.requests).not.toBe(0);
    }
  });
});

describe('histograms', () => {
  const words = inbandHistogram.size / 4;
  const { count, sumNs, lastNs, lastTimeNs, bins } = inbandHistogram.fields;

  /** Puts one sample into a histogram: `(row, backend, place)` of a shape. */
  function sample(
    map: Uint32Array,
    of: Shape,
    at: readonly [number, number, number],
    latency: number,
    time: number,
  ) {
    const [row, backend, place] = at;
    const start = ((row * of.backends + backend) * kindCount(of) + place) * words;
    const long = new BigUint64Array(map.buffer);
    const word = (offset: number) => (start * 4 + offset) / 8;
    long[word(count.offset)]! += 1n;
    long[word(sumNs.offset)]! = BigInt.asUintN(64, long[word(sumNs.offset)]! + BigInt(latency));
    long[word(lastNs.offset)] = BigInt.asUintN(64, BigInt(latency));
    long[word(lastTimeNs.offset)] = BigInt(time);
    map[start + bins.offset / 4 + (latency < 0 ? 0 : latency % binCount)]! += 1;
  }

  const read = (map: Uint32Array, of: Shape, backend: number, place: number) => {
    const live = new LiveBins(
      map,
      Array.from(
        { length: of.rows },
        (_, row) => ((row * of.backends + backend) * kindCount(of) + place) * words,
      ),
    );
    const all = new Uint32Array(binCount);
    live.read(all);
    return { count: live.count, sum: live.sumNs, last: live.lastNs, time: live.lastTimeNs, bins: [...all] };
  };

  test('read the same in a map with more backends and other kinds; the latest sample stays the latest', () => {
    const from = shape(2, 2, [0, 1, -1]);
    const to = shape(3, 4, [1, -1, 0]);
    const old = new Uint32Array(cells(from) * kindCount(from) * words);
    const next = new Uint32Array(cells(to) * kindCount(to) * words);
    sample(old, from, [0, 1, 0], 500, 30);
    sample(old, from, [1, 1, 0], -7, 20);
    sample(old, from, [1, 0, 0], 9, 10);
    sample(old, from, [0, 0, 1], 11, 10);
    carryHistograms(old.buffer, next.buffer, [from, to]);
    for (const backend of [0, 1]) expect(read(next, to, backend, 1)).toEqual(read(old, from, backend, 0));
    expect(read(next, to, 1, 1)).toMatchObject({ count: 2, sum: 493, last: 500, time: 30 });
    expect(read(next, to, 0, 0)).toMatchObject({ count: 0 });
    expect(read(next, to, 3, 1)).toMatchObject({ count: 0 });
  });

  test('any samples before, and in the new map already, are all counted once', () => {
    const from = shape(3, 3, [0, 1]);
    const to = shape(3, 7, [0, 1]);
    const sampleOf = (of: Shape, rows: number) =>
      fc.tuple(
        fc.tuple(fc.nat(rows - 1), fc.nat(of.backends - 1), fc.nat(1)),
        fc.integer({ min: -1000, max: 1e9 }),
        fc.nat(1e9),
      );
    fc.assert(
      fc.property(
        fc.array(sampleOf(from, from.rows), { maxLength: 30 }),
        fc.array(sampleOf(from, to.rows - 1), { maxLength: 30 }),
        (before, after) => {
          const old = new Uint32Array(cells(from) * 2 * words);
          const next = new Uint32Array(cells(to) * 2 * words);
          for (const [at, latency, time] of before) sample(old, from, at, latency, time);
          for (const [at, latency, time] of after) sample(next, to, at, latency, time);
          const expected = [...before, ...after];
          for (let times = 0; times < 2; times++) carryHistograms(old.buffer, next.buffer, [from, to]);
          for (let backend = 0; backend < 3; backend++) {
            for (const place of [0, 1]) {
              const of = expected.filter(([[, b, p]]) => b === backend && p === place);
              const found = read(next, to, backend, place);
              expect(found.count).toBe(of.length);
              expect(found.sum).toBe(of.reduce((sum, [, latency]) => sum + latency, 0));
              expect(found.bins.reduce((sum, bin) => sum + bin, 0)).toBe(of.length);
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('what was learnt', () => {
  const from = shape(2, 2);
  const to = shape(2, 3);

  test('of gaps is copied to the same row and backend', () => {
    const words = inbandGaps.size / 4;
    const old = new Uint32Array(cells(from) * words);
    fill(old);
    const next = new Uint32Array(cells(to) * words);
    copyGaps(old.buffer, next.buffer, [from, to]);
    expect(next.subarray(0, 2 * words)).toEqual(old.subarray(0, 2 * words));
    expect(next.subarray(3 * words, 5 * words)).toEqual(old.subarray(2 * words));
    expect(Math.max(...next.subarray(2 * words, 3 * words), ...next.subarray(5 * words))).toBe(0);
  });

  test('of an epoch is copied without the counts before it', () => {
    const words = inbandTraffic.size / 4;
    const old = new Uint32Array(cells(from) * words);
    fill(old);
    const next = new Uint32Array(cells(to) * words);
    copyEpochs(old.buffer, next.buffer, [from, to]);
    const counted = inbandTraffic.fields.epochStartNs.offset / 4;
    expect([...next.subarray(0, counted)]).toEqual(Array(counted).fill(0));
    expect(next.subarray(3 * words + counted, 4 * words)).toEqual(
      old.subarray(2 * words + counted, 3 * words),
    );
  });
});
