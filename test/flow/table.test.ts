import { describe, expect, it } from 'vitest';
import {
  FlowTable,
  flowClosing,
  flowEstablished,
  flowNew,
  flowNone,
  flowsMax,
  flowsMin,
  flowTimeoutsDefault,
} from '../../src/flow/table.ts';
import { seededSecret, tabulationSecretWords } from '../../src/flow/tabulation.ts';
import { ns } from '../../src/units.ts';

const seconds = (value: number) => ns(value * 1e9);
const aTable = (capacity = flowsMin) => new FlowTable(capacity, seededSecret(1));

/** The secret that gives every key the hash 0. */
const allEqual = new Int32Array(tabulationSecretWords);

const find = (table: FlowTable, client: number, now = 0) => table.find(client, 0, 0, 0, 80, ns(now));
const insert = (table: FlowTable, client: number, now = 0, backend = client & 7, isn = 0) =>
  table.insert(client, 0, 0, 0, 80, ns(now), backend, isn);

/** Adds an established flow. */
function establish(table: FlowTable, client: number, now = 0): number {
  const flow = insert(table, client, now);
  if (flow >= 0) table.setState(flow, flowEstablished);
  return flow;
}

/** A random 32-bit number from a counter, by a bijective mixer (MurmurHash3's): no two are equal. */
function scatter(i: number): number {
  let x = Math.imul(i ^ (i >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

describe('flows', () => {
  it('a new flow is found with what it was given', () => {
    const table = aTable();
    const flow = table.insert(1, 2, 3, 4, 5, ns(7), 42, -9);
    expect(table.find(1, 2, 3, 4, 5, ns(8))).toBe(flow);
    expect(table.backend(flow)).toBe(42);
    expect(table.isn(flow)).toBe(-9);
    expect(table.state(flow)).toBe(flowNew);
    expect(table.lastNs[flow]).toBe(7);
    expect(table.active).toBe(1);
  });

  it('every word of the key tells flows apart, even if all hashes are equal', () => {
    const table = new FlowTable(flowsMin, allEqual);
    table.insert(1, 2, 3, 4, 5, ns(0), 0, 0);
    for (const [c0, c1, c2, c3, portAndVip] of [
      [0, 2, 3, 4, 5],
      [1, 0, 3, 4, 5],
      [1, 2, 0, 4, 5],
      [1, 2, 3, 0, 5],
      [1, 2, 3, 4, 0],
      [1, 0, 0, 0, 5],
    ] as const) {
      expect(table.find(c0, c1, c2, c3, portAndVip, ns(0))).toBe(-1);
    }
  });

  it('keys of the same hash in the same sets stay apart', () => {
    const table = new FlowTable(1024, allEqual);
    const flows = Array.from({ length: 16 }, (_, client) => establish(table, client));
    expect(new Set(flows).size).toBe(16);
    expect(flows.map((flow) => table.backend(flow))).toEqual(flows.map((_, client) => client & 7));
    flows.forEach((flow, client) => {
      expect(find(table, client)).toBe(flow);
    });
    expect(insert(table, 16)).toBe(-1);
    expect(find(table, 16)).toBe(-1);
    table.remove(flows[3]!, 'closed');
    expect(find(table, 3)).toBe(-1);
    expect(insert(table, 16)).toBe(flows[3]);
    expect(find(table, 4)).toBe(flows[4]);
  });

  it('a removed flow is gone, counted by reason, and its number is used again', () => {
    const table = aTable();
    const flow = insert(table, 1);
    table.remove(flow, 'closed');
    expect(find(table, 1)).toBe(-1);
    expect(table.active).toBe(0);
    const again = insert(table, 2);
    expect(again).toBe(flow);
    expect(table.state(again)).toBe(flowNew);
    table.remove(again, 'reopened');
    expect(table.state(again)).toBe(flowNone);
    table.remove(insert(table, 3), 'resteered');
    expect(table.counters).toMatchObject({ created: 3, closed: 1, reopened: 1, resteered: 1, idle: 0 });
  });

  it('numbers are handed out densely', () => {
    const table = aTable(1024);
    expect([insert(table, 1), insert(table, 2), insert(table, 3)]).toEqual([0, 1, 2]);
  });
});

describe('time-outs', () => {
  for (const [state, timeout, name] of [
    [flowNew, flowTimeoutsDefault.newNs, 'new'],
    [flowEstablished, flowTimeoutsDefault.establishedNs, 'established'],
    [flowClosing, flowTimeoutsDefault.closingNs, 'closing'],
  ] as const) {
    it(`a ${name} flow lives as long as its time-out and not longer`, () => {
      const table = aTable();
      const flow = insert(table, 1, 100);
      table.setState(flow, state);
      expect(find(table, 1, 100 + timeout)).toBe(flow);
      expect(find(table, 1, 101 + timeout)).toBe(-1);
      expect(table.active).toBe(0);
      expect(table.counters.idle).toBe(1);
    });
  }

  it('time that goes backwards makes no flow old', () => {
    const table = aTable();
    const flow = insert(table, 1, seconds(1000));
    expect(find(table, 1, 0)).toBe(flow);
    expect(find(table, 1, -seconds(1000))).toBe(flow);
  });

  it('time-outs can be set', () => {
    const timeouts = { ...flowTimeoutsDefault, newNs: ns(5) };
    const table = new FlowTable(flowsMin, seededSecret(1), timeouts);
    insert(table, 1, 0);
    expect(find(table, 1, 6)).toBe(-1);
  });
});

describe('a sweep', () => {
  const none = new Uint8Array(8);
  const lost = Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 0);
  const { closingNs, establishedNs } = flowTimeoutsDefault;

  it('ends what is past its time-out, tells of it once, and leaves the rest', () => {
    const table = aTable();
    const ended: string[] = [];
    table.onEnd = (flow, backend) => ended.push(`${flow} of ${backend}`);
    for (let client = 0; client < 4; client++) establish(table, client, client);
    table.sweep(0, table.used, ns(establishedNs + 2), none);
    expect(ended).toEqual(['0 of 0', '1 of 1']);
    table.sweep(0, table.used, ns(establishedNs + 2), none);
    expect(ended).toHaveLength(2);
    expect([0, 1, 2, 3].map((client) => find(table, client, establishedNs + 2))).toEqual([-1, -1, 2, 3]);
    expect(table.counters.idle).toBe(2);
    expect(table.active).toBe(2);
  });

  it('looks at the numbers that it is told to, and at none that no flow had yet', () => {
    const table = aTable();
    for (let client = 0; client < 4; client++) insert(table, client);
    table.sweep(1, 3, seconds(60), none);
    expect([0, 1, 2, 3].map((flow) => table.state(flow))).toEqual([flowNew, flowNone, flowNone, flowNew]);
    table.sweep(3, 1_000, seconds(60), none);
    expect(table.active).toBe(1);
    expect(table.used).toBe(4);
  });

  it('ends as many as it may, and tells where it stopped', () => {
    const table = aTable();
    for (let client = 0; client < 6; client++) insert(table, client, client === 1 ? seconds(60) : 0);
    expect(table.sweep(0, 6, seconds(60), none, 2)).toBe(3);
    expect(table.active).toBe(4);
    expect(table.sweep(3, 6, seconds(60), none, 2)).toBe(5);
    expect(table.sweep(5, 9, seconds(60), none, 2)).toBe(6);
    expect(find(table, 1, seconds(60))).toBe(1);
    expect(table.active).toBe(1);
  });

  it('ends flows of a lost backend that are idle for as long as closing ones may be', () => {
    const table = aTable();
    const [kept, ending] = [establish(table, 0), establish(table, 1)];
    table.sweep(0, table.used, closingNs, lost);
    expect(table.active).toBe(2);
    table.sweep(0, table.used, ns(closingNs + 1), lost);
    expect([table.state(kept), table.state(ending)]).toEqual([flowEstablished, flowNone]);
    expect(table.counters.idle).toBe(1);
  });
});

it('a flow tells its key', () => {
  const table = aTable();
  const flow = table.insert(-1, 2, -3, 4, (65_535 << 16) | 65_534, ns(0), 0, 0);
  expect([0, 1, 2, 3].map((word) => table.clientWord(flow, word))).toEqual([-1, 2, -3, 4]);
  expect([table.portAndVip(flow) >>> 16, table.portAndVip(flow) & 0xffff]).toEqual([65_535, 65_534]);
});

describe('capacity', () => {
  it('it is rounded up to a power of two', () => {
    expect([16, 17, 1000, 1024].map((capacity) => aTable(capacity).capacity)).toEqual([16, 32, 1024, 1024]);
  });

  it('a capacity outside the limits is refused', () => {
    for (const capacity of [0, flowsMin - 1, flowsMax + 1, Number.NaN]) {
      expect(() => aTable(capacity)).toThrow(/is not within 16 and 16777216/);
    }
  });

  it('the smallest table holds as many flows as it says', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const table = new FlowTable(flowsMin, seededSecret(seed));
      for (let client = 0; client < flowsMin; client++) {
        expect(establish(table, client)).toBe(client);
      }
      expect(establish(table, 99)).toBe(-1);
      expect(table.counters.refused).toBe(1);
    }
  });

  it('established flows in use fill 70 % without a refusal, 80 % with 0.1 % and 90 % with 1 % refused at most', () => {
    for (const key of [scatter, (i: number) => 0x0a000000 + i]) {
      const table = aTable(65_536);
      const refusedAt = (fill: number) => {
        for (let i = table.counters.created + table.counters.refused; i < fill * table.capacity; i++) {
          establish(table, key(i));
        }
        return table.counters.refused / (fill * table.capacity);
      };
      expect(refusedAt(0.7)).toBe(0);
      expect(refusedAt(0.8)).toBeLessThan(0.001);
      expect(refusedAt(0.9)).toBeLessThan(0.01);
      const { created, refused, evictedIdle, evictedUnestablished, idle } = table.counters;
      expect(evictedIdle + evictedUnestablished + idle).toBe(0);
      expect(table.active).toBe(created);
      expect(created + refused).toBe(Math.ceil(0.9 * 65_536));
    }
  });
});

describe('eviction', () => {
  /** The smallest table, full: all of its flows are candidates for whatever comes. */
  function aFullTable(setUp: (table: FlowTable, flow: number) => void): FlowTable {
    const table = aTable();
    for (let client = 0; client < flowsMin; client++) {
      // Client 0 was idle longest.
      const flow = insert(table, client, client);
      table.setState(flow, flowEstablished);
      setUp(table, flow);
    }
    return table;
  }

  const gone = (table: FlowTable, now: number) =>
    Array.from({ length: flowsMin }, (_, client) => client).filter(
      (client) => find(table, client, now) === -1,
    );

  it('a flow past its time-out goes before an unestablished one', () => {
    const table = aFullTable((table, flow) => {
      if (flow === 1) table.setState(flow, flowNew);
    });
    table.lastNs[9] = -flowTimeoutsDefault.establishedNs;
    expect(insert(table, 100, 16)).toBe(9);
    expect(table.counters).toMatchObject({ idle: 1, evictedUnestablished: 0, evictedIdle: 0, refused: 0 });
    expect(gone(table, 16)).toEqual([9]);
  });

  it('an unestablished flow goes before one that is long idle, the one idle longest first', () => {
    const now = flowTimeoutsDefault.evictableNs + 100;
    const table = aFullTable((table, flow) => {
      if (flow === 7 || flow === 5) {
        table.setState(flow, flow === 7 ? flowNew : flowClosing);
        table.lastNs[flow] = now - flow;
      }
    });
    expect(insert(table, 100, now)).toBe(7);
    expect(insert(table, 101, now)).toBe(5);
    expect(table.counters).toMatchObject({ idle: 0, evictedUnestablished: 2, evictedIdle: 0 });
    expect(gone(table, now)).toEqual([5, 7]);
  });

  it('a long idle flow goes before a new one is refused, the one idle longest first', () => {
    const table = aFullTable(() => {});
    const { evictableNs } = flowTimeoutsDefault;
    expect(establish(table, 100, evictableNs - 1)).toBe(-1);
    expect(establish(table, 101, evictableNs + 1)).toBe(0);
    expect(establish(table, 102, evictableNs + 1)).toBe(1);
    expect(establish(table, 103, evictableNs + 1)).toBe(-1);
    expect(table.counters).toMatchObject({ idle: 0, evictedUnestablished: 0, evictedIdle: 2, refused: 2 });
    expect(gone(table, evictableNs + 1)).toEqual([0, 1]);
  });

  it('a flood of SYNs of ten times the capacity leaves all established flows in place', () => {
    const table = aTable(4096);
    const established = Array.from({ length: 2048 }, (_, i) => establish(table, scatter(i), 0));
    expect(established).not.toContain(-1);
    for (let i = 0; i < 10 * table.capacity; i++) insert(table, scatter(100_000 + i), i);
    expect(established.map((_, i) => find(table, scatter(i), 50_000))).toEqual(established);
    const { created, refused, evictedUnestablished } = table.counters;
    expect(created + refused).toBe(2048 + 40_960);
    expect(table.active).toBe(created - evictedUnestablished);
    expect(table.active).toBeLessThanOrEqual(table.capacity);
  });
});
