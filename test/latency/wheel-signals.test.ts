import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SignalMemory } from '../../src/latency/signal-memory.ts';
import { signalWord, signalWords, WheelSignals } from '../../src/latency/wheel-signals.ts';
import { ns } from '../../src/units.ts';

const tickOf = (ms: number) => Math.floor((ms * 1e6) / 64) | 0;
const bucketMs = 1.048576;

/** A memory of two backends and what the second one's reader says at a time. */
function aMemory() {
  const memory = new SignalMemory(2);
  const reader = memory.of(1);
  const at = (ms: number) => {
    reader.update(ns(ms * 1e6));
    return reader;
  };
  const send = (ms: number) => memory.push(1, tickOf(ms));
  const answer = (ms: number) => memory.take(1, tickOf(ms));
  return { memory, at, send, answer };
}

describe('requests in flight', () => {
  it('are counted until they are taken back, for their backend alone', () => {
    const { memory, at, send, answer } = aMemory();
    send(10);
    send(11);
    expect(at(12)).toMatchObject({ requests: 2, inFlight: 2 });
    answer(10);
    expect(at(13)).toMatchObject({ requests: 2, inFlight: 1 });
    const other = memory.of(0);
    other.update(ns(13e6));
    expect(other).toMatchObject({ requests: 0, inFlight: 0, oldestNs: 0 });
  });

  it('the oldest one has an age, to a bucket', () => {
    const { at, send, answer } = aMemory();
    send(10);
    send(50);
    const age = () => at(60).oldestNs / 1e6;
    expect(age()).toBeGreaterThanOrEqual(50);
    expect(age()).toBeLessThanOrEqual(50 + bucketMs);
    answer(10);
    expect(age()).toBeGreaterThanOrEqual(10);
    expect(age()).toBeLessThanOrEqual(10 + bucketMs);
    answer(50);
    expect(age()).toBe(0);
  });

  it('are counted by how long they wait', () => {
    const { at, send } = aMemory();
    for (const ms of [10, 20, 30, 30, 90]) send(ms);
    const reader = at(100);
    expect([0, 5, 50, 75, 85, 95].map((ms) => reader.waiting(ms * 1e6))).toEqual([5, 5, 4, 2, 1, 0]);
  });

  it('are seen at once after a time without any, and after one in which all were answered', () => {
    const { at, send, answer } = aMemory();
    for (let ms = 0; ms < 300; ms += 10) expect(at(ms).inFlight).toBe(0);
    for (const ms of [300, 1_000, 1_134]) {
      send(ms);
      expect(at(ms + 5)).toMatchObject({ inFlight: 1 });
      expect(at(ms + 20).oldestNs / 1e6).toBeGreaterThanOrEqual(20);
      expect(at(ms + 20).waiting(5e6)).toBe(1);
      answer(ms);
      for (let later = ms + 30; later < ms + 400; later += 10) {
        expect(at(later)).toMatchObject({ inFlight: 0, oldestNs: 0 });
        expect(at(later).waiting(0)).toBe(0);
      }
    }
  });

  it('older than the wheel keep their age, while newer ones of the same bucket come and go', () => {
    const { at, send, answer } = aMemory();
    send(10);
    const turn = 128 * bucketMs;
    for (let ms = 10; ms < 10 + 5 * turn; ms += 0.5) {
      send(ms);
      at(ms);
      answer(ms);
    }
    const reader = at(10 + 5 * turn);
    expect(reader.inFlight).toBe(1);
    expect(reader.oldestNs / 1e6).toBeGreaterThanOrEqual(5 * turn);
    expect(reader.oldestNs / 1e6).toBeLessThanOrEqual(5 * turn + bucketMs);
    expect(reader.waiting(4 * turn * 1e6)).toBe(1);
    answer(10);
    expect(at(11 + 5 * turn)).toMatchObject({ inFlight: 0, oldestNs: 0 });
  });

  it('of a long silence of the reader are at least as old as a turn', () => {
    const { at, send } = aMemory();
    at(1);
    send(10);
    expect(at(10 + 1000).oldestNs / 1e6).toBeGreaterThan(0);
    expect(at(10 + 1200).oldestNs / 1e6).toBeGreaterThan(134);
  });

  it('counts of several CPUs are one: sent on one and answered on another', () => {
    const memory = new SignalMemory(2);
    memory.push(0, tickOf(3));
    memory.push(0, tickOf(5));
    memory.take(1, tickOf(3));
    const words = Int32Array.from([...memory.words(0), ...memory.words(1)]);
    const reader = new WheelSignals(words, [0, signalWords]);
    reader.update(ns(6e6));
    expect(reader).toMatchObject({ requests: 2, inFlight: 1 });
    expect(reader.oldestNs / 1e6).toBeLessThan(2.1);
  });

  it('whatever comes and goes, those that wait are those sent and not answered', () => {
    const step = fc.tuple(fc.nat(20), fc.boolean());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { at, send, answer } = aMemory();
        const sent: number[] = [];
        let now = 0;
        for (const [ms, isSent] of steps) {
          now += ms;
          if (isSent) {
            send(now);
            sent.push(now);
          } else if (sent.length > 0) {
            answer(sent.shift()!);
          }
          const reader = at(now);
          expect(reader.inFlight).toBe(sent.length);
          expect(reader.waiting(0)).toBe(sent.length);
          // An answered one may stand for a newer one of its bucket for a turn; never the other way round.
          if (sent.length > 0) expect(reader.oldestNs / 1e6).toBeGreaterThanOrEqual(now - sent[0]!);
          else expect(reader.oldestNs).toBe(0);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('counters', () => {
  it('go on where the 32 bits wrap', () => {
    const memory = new SignalMemory(1);
    const reader = memory.of(0);
    memory.words(0)[signalWord.segments] = -2;
    reader.update(ns(0));
    const before = reader.segments;
    for (let i = 0; i < 5; i++) memory.count(0, signalWord.segments);
    reader.update(ns(1));
    expect(reader.segments - before).toBe(5);
  });
});
