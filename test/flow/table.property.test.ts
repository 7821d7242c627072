import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  type FlowCounters,
  FlowTable,
  flowClosing,
  flowEstablished,
  flowNew,
  flowsMin,
  flowTimeoutsDefault,
} from '../../src/flow/table.ts';
import { seededSecret } from '../../src/flow/tabulation.ts';
import { ns } from '../../src/units.ts';

interface Line {
  flow: number;
  backend: number;
  isn: number;
  state: number;
  lastNs: number;
}

const { newNs, establishedNs, closingNs, evictableNs } = flowTimeoutsDefault;

/** Keys that differ in few bits, of both families. */
function keyOf(i: number): [number, number, number, number, number] {
  return [i & 1, (i >> 1) & 1, (i >> 2) & 1, (i >> 3) & 1, (i >> 4) << 16];
}

const isPast = ({ state, lastNs }: Line, now: number) =>
  now - lastNs > (state === flowNew ? newNs : state === flowEstablished ? establishedNs : closingNs);

const step = fc.record({
  key: fc.nat(47),
  action: fc.constantFrom('open', 'open', 'open', 'establish', 'establish', 'close', 'remove', 'sweep'),
  // Every time is another, so that the flow idle longest is always one.
  wait: fc.oneof(
    { weight: 20, arbitrary: fc.constant(1) },
    { weight: 4, arbitrary: fc.constantFrom(newNs / 2, evictableNs / 2) },
    { weight: 1, arbitrary: fc.constantFrom(newNs, evictableNs, establishedNs, establishedNs / 2) },
  ),
});

/** A table checked against a plain map. In the smallest table every flow is a candidate for eviction, so all is exact. */
class Checked {
  readonly table: FlowTable;
  readonly lines = new Map<number, Line>();
  readonly counters: FlowCounters = {
    created: 0,
    closed: 0,
    reopened: 0,
    resteered: 0,
    idle: 0,
    evictedUnestablished: 0,
    evictedIdle: 0,
    refused: 0,
  };

  constructor(seed: number) {
    this.table = new FlowTable(flowsMin, seededSecret(seed));
  }

  find(key: number, now: number): Line | undefined {
    const flow = this.table.find(...keyOf(key), ns(now));
    const line = this.lines.get(key);
    if (line && isPast(line, now)) {
      this.lines.delete(key);
      this.counters.idle++;
    }
    expect(flow).toBe(this.lines.get(key)?.flow ?? -1);
    return this.lines.get(key);
  }

  insert(key: number, now: number, backend: number, isn: number): void {
    const flow = this.table.insert(...keyOf(key), ns(now), backend, isn);
    if (this.lines.size === flowsMin && !this.#evict(now)) {
      expect(flow).toBe(-1);
      this.counters.refused++;
      return;
    }
    this.counters.created++;
    expect(flow).toBeGreaterThanOrEqual(0);
    expect(flow).toBeLessThan(this.table.capacity);
    expect([...this.lines.values()].map((line) => line.flow)).not.toContain(flow);
    this.lines.set(key, { flow, backend, isn, state: flowNew, lastNs: now });
  }

  #evict(now: number): boolean {
    const rank = (line: Line) =>
      isPast(line, now)
        ? 0
        : line.state !== flowEstablished
          ? 1
          : now - line.lastNs >= evictableNs
            ? 2
            : Number.POSITIVE_INFINITY;
    const [key, worst] = [...this.lines].sort(([, a], [, b]) => rank(a) - rank(b) || a.lastNs - b.lastNs)[0]!;
    const counter = (['idle', 'evictedUnestablished', 'evictedIdle'] as const)[rank(worst)];
    if (!counter) return false;
    this.counters[counter]++;
    return this.lines.delete(key);
  }

  /** Backends are the numbers of steps: those of every third are lost. */
  sweep(now: number): void {
    const lost = Uint8Array.from({ length: 200 }, (_, backend) => (backend % 3 === 0 ? 1 : 0));
    this.table.sweep(0, this.table.used, ns(now), lost);
    for (const [key, line] of this.lines) {
      if (!isPast(line, now) && !(line.backend % 3 === 0 && now - line.lastNs > closingNs)) continue;
      this.lines.delete(key);
      this.counters.idle++;
    }
  }

  check(): void {
    expect(this.table.active).toBe(this.lines.size);
    expect(this.table.counters).toEqual(this.counters);
    for (const { flow, ...line } of this.lines.values()) {
      const { table } = this;
      expect({
        backend: table.backend(flow),
        isn: table.isn(flow),
        state: table.state(flow),
        lastNs: table.lastNs[flow],
      }).toEqual(line);
    }
  }
}

it('it does what a map with the same rules does', () => {
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { maxLength: 200, size: 'max' }), (seed, steps) => {
      const checked = new Checked(seed);
      let now = 0;
      steps.forEach(({ key, action, wait }, i) => {
        now += wait;
        if (action === 'sweep') {
          checked.sweep(now);
          return;
        }
        const line = checked.find(key, now);
        if (!line) {
          if (action === 'open') checked.insert(key, now, i, ~i);
        } else if (action === 'remove') {
          const why = i % 2 ? 'closed' : 'reopened';
          checked.table.remove(line.flow, why);
          checked.counters[why]++;
          checked.lines.delete(key);
        } else {
          line.lastNs = now;
          checked.table.lastNs[line.flow] = now;
          if (action === 'establish') line.state = flowEstablished;
          if (action === 'close') line.state = flowClosing;
          checked.table.setState(line.flow, line.state);
        }
      });
      checked.check();
      for (const key of [...checked.lines.keys()]) checked.find(key, now);
    }),
    { numRuns: 200 },
  );
});

it('in a larger table that overflows, a key finds its own flow or none', () => {
  const anyKeys = fc.array(fc.tuple(fc.nat(400), fc.boolean()), {
    minLength: 300,
    maxLength: 800,
    size: 'max',
  });
  fc.assert(
    fc.property(fc.integer(), anyKeys, (seed, keys) => {
      const table = new FlowTable(128, seededSecret(seed));
      const portAndVip = (key: number) => key << 16;
      let now = 0;
      for (const [key, isRemoval] of keys) {
        const at = ns(++now);
        let flow = table.find(key, 0, 0, 0, portAndVip(key), at);
        if (flow >= 0) expect(table.backend(flow)).toBe(key);
        if (flow >= 0 && isRemoval) table.remove(flow, 'closed');
        else if (flow < 0) {
          flow = table.insert(key, 0, 0, 0, portAndVip(key), at, key, 0);
          if (flow >= 0 && key % 2) table.setState(flow, flowEstablished);
        }
        const { created, closed, evictedUnestablished } = table.counters;
        expect(table.active).toBe(created - closed - evictedUnestablished);
        expect(table.active).toBeLessThanOrEqual(table.capacity);
      }
      const live = Array.from({ length: 401 }, (_, key) =>
        table.find(key, 0, 0, 0, portAndVip(key), ns(now)),
      ).filter((flow) => flow >= 0);
      expect(new Set(live).size).toBe(live.length);
      expect(live.length).toBe(table.active);
    }),
    { numRuns: 30 },
  );
});
