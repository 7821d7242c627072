import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EventQueue } from '../../src/sim/queue.ts';

function drain(queue: EventQueue): [number, number][] {
  const all: [number, number][] = [];
  while (queue.size > 0) all.push([queue.nextNs, queue.pop()]);
  return all;
}

it('is empty at first, and its next event then never comes', () => {
  const queue = new EventQueue();
  expect(queue.size).toBe(0);
  expect(queue.nextNs).toBe(Number.POSITIVE_INFINITY);
});

it('gives events at the same time in the order in which they were scheduled', () => {
  const queue = new EventQueue();
  for (let event = 0; event < 100; event++) queue.push(5, event);
  expect(drain(queue).map(([, event]) => event)).toEqual(Array.from({ length: 100 }, (_, i) => i));
});

it('gives events in order of time, whatever is scheduled and taken in between', () => {
  const steps = fc.array(fc.oneof(fc.integer({ min: 0, max: 50 }), fc.constant('pop' as const)), {
    maxLength: 3000,
  });
  fc.assert(
    fc.property(steps, (all) => {
      const queue = new EventQueue();
      let model: [number, number][] = [];
      all.forEach((step, event) => {
        if (step !== 'pop') {
          queue.push(step, event);
          model.push([step, event]);
        } else if (model.length > 0) {
          const next = model.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])[0]!;
          model = model.filter((one) => one !== next);
          expect([queue.nextNs, queue.pop()]).toEqual(next);
        }
      });
      expect(drain(queue)).toEqual(model.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]));
    }),
    { numRuns: 30 },
  );
});
