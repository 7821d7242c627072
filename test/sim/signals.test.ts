import fc from 'fast-check';
import { expect, it } from 'vitest';
import { InFlight, SimSignals } from '../../src/sim/signals.ts';

it('without a request nothing is in flight', () => {
  const signals = new SimSignals(new InFlight(4));
  signals.update(5);
  expect([signals.inFlight, signals.oldestNs, signals.waiting(0)]).toEqual([0, 0, 0]);
});

it('ages are those at the latest update', () => {
  const signals = new SimSignals(new InFlight(4));
  signals.sent(0, 100);
  signals.sent(1, 150);
  signals.update(200);
  expect([signals.inFlight, signals.oldestNs]).toEqual([2, 100]);
  expect([signals.waiting(0), signals.waiting(60), signals.waiting(100), signals.waiting(101)]).toEqual([
    2, 1, 1, 0,
  ]);
  signals.remove(0);
  expect(signals.oldestNs).toBe(50);
});

it('a request keeps its age and its place under another number', () => {
  const signals = new SimSignals(new InFlight(4));
  for (const [request, at] of [
    [0, 10],
    [1, 20],
    [2, 30],
  ] as const) {
    signals.sent(request, at);
  }
  signals.rename(1, 3);
  signals.sent(1, 40);
  signals.update(50);
  expect(signals.waiting(25)).toBe(2);
  signals.remove(0);
  expect(signals.oldestNs).toBe(30);
  signals.remove(3);
  expect(signals.oldestNs).toBe(20);
});

it('agrees with a plain list, whatever is sent and answered in which order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 200 }), (requests) => {
      const signals = new SimSignals(new InFlight(10));
      const sent = new Map<number, number>();
      requests.forEach((request, now) => {
        if (sent.delete(request)) signals.remove(request);
        else {
          sent.set(request, now);
          signals.sent(request, now);
        }
        signals.update(now);
        const ages = [...sent.values()].map((at) => now - at);
        expect(signals.inFlight).toBe(sent.size);
        expect(signals.oldestNs).toBe(Math.max(0, ...ages));
        expect(signals.waiting(7)).toBe(ages.filter((age) => age >= 7).length);
      });
    }),
  );
});
