import { describe, expect, it } from 'vitest';
import { scanFlows } from '../../src/datapath/capture/flow-records.ts';
import { Sweeper } from '../../src/datapath/capture/sweeper.ts';
import { BackendConditions } from '../../src/datapath/conditions.ts';
import type { FlowRecord } from '../../src/datapath/datapath.ts';
import { FlowTable, flowClosing, flowEstablished, flowNew } from '../../src/flow/table.ts';
import { seededSecret } from '../../src/flow/tabulation.ts';
import { parseEndpoint } from '../../src/net/address.ts';
import { ns } from '../../src/units.ts';
import { ip } from '../support/frames.ts';

const aTable = (capacity = 4_096) => new FlowTable(capacity, seededSecret(1));

/** Adds a flow of 10.0.0.1, and tells its number. */
const open = (table: FlowTable, port: number, now = 0, backend = 0) =>
  table.insert(ip('10.0.0.1').words[0], 0, 0, 0, port << 16, ns(now), backend, 0);

/** All flows that a scan shows, and in how many calls. */
function scan(table: FlowTable, now = 0) {
  const vips = ['10.0.0.100:80/tcp', '[2001:db8::1]:80/tcp'].map((text) => parseEndpoint(text, 'vip'));
  const flows: FlowRecord[] = [];
  let calls = 0;
  let cursor: number | undefined = 0;
  while (cursor !== undefined) {
    cursor = scanFlows(
      table,
      cursor,
      ns(now),
      'auto',
      (vip) => vips[vip],
      (flow) => flows.push(flow),
    );
    calls++;
  }
  return { flows, calls };
}

describe('a scan', () => {
  it('shows what is known of a flow', () => {
    const table = aTable();
    const v6 = ip('2001:db8::9').words;
    const flow = table.insert(...v6, (65_000 << 16) | 1, ns(5), 7, 0);
    table.setState(flow, flowClosing);
    table.setState(open(table, 80, 9), flowEstablished);
    expect(scan(table, 8).flows).toEqual([
      {
        ...{ clientAddress: '2001:db8::9', clientPort: 65_000, vip: 1, backend: 7 },
        ...{ state: 'closing', idleNs: 3, estimator: 'auto' },
      },
      {
        ...{ clientAddress: '10.0.0.1', clientPort: 80, vip: 0, backend: 0 },
        ...{ state: 'established', idleNs: 0, estimator: 'auto' },
      },
    ]);
  });

  it('shows each flow once, in several calls where there are many, and none that has ended', () => {
    const table = aTable();
    for (let port = 0; port < 2_000; port++) open(table, port);
    for (let flow = 0; flow < 2_000; flow += 2) table.remove(flow, 'closed');
    const { flows, calls } = scan(table);
    expect(flows.map(({ clientPort }) => clientPort)).toEqual(
      Array.from({ length: 1_000 }, (_, i) => 2 * i + 1),
    );
    expect(calls).toBeGreaterThan(1);
    expect(scan(aTable())).toEqual({ flows: [], calls: 1 });
  });
});

describe('a sweeper', () => {
  const count = 30_000;
  function aSweeper(state = flowNew) {
    const table = aTable(2 * count);
    for (let port = 0; port < count; port++) table.setState(open(table, port, 0, port & 1), state);
    const conditions = new BackendConditions();
    const sweeper = new Sweeper(table, conditions);
    sweeper.sweep(ns(0), false);
    let nowNs = 20e9;
    /** Flows that are left after sweeps every 100 ms from 20 s on. */
    const left = (seconds: number, isHurried: boolean) => {
      for (let i = 1; i <= 10 * seconds; i++) {
        nowNs += 1e8;
        sweeper.sweep(ns(nowNs), isHurried);
      }
      return table.active;
    };
    sweeper.sweep(ns(20e9), false);
    return { table, conditions, left };
  }

  it('looks at all flows within half a minute, a few at a time', () => {
    const { left } = aSweeper();
    expect(left(1, false)).toBeGreaterThan(0);
    expect(left(31, false)).toBe(0);
  });

  it('ends no more of them at once than takes a moment', () => {
    const { table, left } = aSweeper();
    let before = table.active;
    for (let seconds = 0; table.active > 0; seconds++) {
      expect(seconds).toBeLessThan(60);
      left(0.1, true);
      expect(before - table.active).toBeLessThanOrEqual(2_048);
      before = table.active;
    }
  });

  it('hurries when something waits for flows to end', () => {
    expect(aSweeper().left(3, true)).toBe(0);
  });

  it('ends those of lost backends before others of their age', () => {
    const { table, conditions, left } = aSweeper(flowEstablished);
    conditions.setFate(1, 'resteer');
    expect(left(3, true)).toBe(count / 2);
    let lost = 0;
    for (const { backend } of scan(table).flows) lost += backend;
    expect(lost).toBe(0);
  });
});
