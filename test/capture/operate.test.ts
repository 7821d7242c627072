import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BackendsAnswer } from '../../src/admin/answers.ts';
import { accountOf, brokenLine } from '../chaos/account.ts';
import { PoolModel } from '../chaos/pool.ts';
import { patienceMs, type Rest, Rig } from '../chaos/rig.ts';
import { skipAll } from '../lab/require.ts';
import { captureUnavailable } from './require.ts';

const unavailable = captureUnavailable();

skipAll(unavailable);

const rest: Rest = { datapath: 'capture', health: { check: 'none' }, flows: 100_000, policy: 'static' };
const load = { connections: 8, thinkUs: 2_000 };
let rig: Rig;

beforeAll(async () => {
  if (unavailable) return;
  rig = await Rig.up({ servers: 3 });
  rig.configure(undefined, rest);
  await rig.balancer.start();
});
afterAll(() => rig?.down());

async function backends(): Promise<BackendsAnswer['backends']> {
  return (await rig.balancer.get<BackendsAnswer>('/backends')).backends;
}

test('nothing that an operator does breaks a flow', async () => {
  const originNs = Number(process.hrtime.bigint());
  const pool = new PoolModel(rig.servers.map(({ name }) => name));
  rig.startLoad(load);
  await sleep(300);
  const [first, second] = rig.servers.map(({ name }) => name);
  for (const operation of [
    { kind: 'drain', server: first! },
    { kind: 'weight', server: second!, weight: 5 },
    { kind: 'ready', server: first! },
    { kind: 'remove', server: second! },
    { kind: 'add', server: second! },
    { kind: 'maintenance', server: first! },
    { kind: 'ready', server: first! },
  ] as const) {
    await rig.operate(pool, operation);
    await sleep(150);
  }
  const account = accountOf(await rig.endLoad(), [], patienceMs * 1e6);
  expect(account.unexcused.map((broken) => brokenLine(broken, originNs))).toEqual([]);
  expect(account.completed + account.kept).toBe(account.opened);
  expect(Object.keys(account.whole).sort()).toEqual(['s1', 's2', 's3']);
  expect((await backends()).map(({ number }) => number)).toEqual([0, 1, 2]);
});

test('a server that is removed has its flows reset where that is asked for, and nobody else', async () => {
  const [kept, other, removed] = rig.servers.map(({ name }) => name);
  rig.configure(undefined, { ...rest, pool: { lost_flows: 'reset' } });
  await rig.balancer.post('/reload', {});
  const before = await rig.wire();
  rig.startLoad({ ...load, requestsPerConnection: 0 });
  await sleep(500);
  const held = (await backends()).find(({ backend }) => backend === rig.lab.host(removed!).address)!;
  expect(held.flows_held).toBeGreaterThan(0);
  rig.configure([kept!, other!]);
  await rig.balancer.post('/reload', {});
  await sleep(500);
  const connections = await rig.endLoad();
  const ended = connections.filter(({ server }) => server === removed);
  expect(ended.length).toBeGreaterThan(0);
  expect(new Set(ended.map(({ end }) => end))).toEqual(new Set(['reset']));
  const others = connections.filter(({ server }) => server !== removed);
  expect(new Set(others.map(({ end }) => end))).toEqual(new Set(['kept']));
  // The resets were the load balancer's: no server saw a segment that was not its own.
  expect((await rig.wire()).resets).toEqual(before.resets);
  const { packets } = await rig.balancer.status();
  expect(packets.reset).toBeGreaterThanOrEqual(ended.length);
});
