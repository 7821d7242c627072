import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { DatapathVip } from '../../src/datapath/datapath.ts';
import { noBackend } from '../../src/datapath/datapath.ts';
import { XdpDatapath } from '../../src/datapath/xdp/datapath.ts';
import { epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { parseEndpoint } from '../../src/net/address.ts';
import { enterLab, needsXdp, ip as runIp, thrownBy } from '../native/support.ts';
import { buildFrame, ip } from '../support/frames.ts';

beforeEach(needsXdp);

const vipOf = (port: number, ...names: string[]): DatapathVip => ({
  endpoint: parseEndpoint(`10.9.0.1:${port}/tcp`, 'vip'),
  backends: names.map((name) => ({ name })),
});

/** The load balancer on 10.7.0.1; 10.7.0.2 and .3 are a neighbour that has the vip's address as well. */
function opened(vips: readonly DatapathVip[], slots = 13): XdpDatapath {
  const { peer } = enterLab();
  runIp('addr', 'add', '10.7.0.1/24', 'dev', 'lb0');
  for (const address of ['10.7.0.2/24', '10.7.0.3/24'])
    runIp('-n', peer, 'addr', 'add', address, 'dev', 'peer0');
  runIp('-n', peer, 'addr', 'add', '10.9.0.1/32', 'dev', 'lo');
  runIp('-n', peer, 'link', 'set', 'lo', 'up');
  const datapath = XdpDatapath.open({
    ...{ interface: 'lb0', vips, slots, flows: 1024 },
    ...{ timeoutsNs: timeoutsDefault, epochNs: epochDefault, cliff: 'smooth' },
  });
  onTestFinished(() => datapath.detach());
  return datapath;
}

/** Polls until something holds; fails when it does not within 10 s. */
async function until(datapath: XdpDatapath, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) {
    datapath.poll();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(holds()).toBe(true);
}

describe('a datapath that is configured while it runs', () => {
  test('finds ways to backends that are new, and has those at once that it knows', async () => {
    const datapath = opened([vipOf(80, '10.7.0.2')]);
    expect(datapath.placed).toEqual([{ vip: 0, backends: [0] }]);
    await until(datapath, () => datapath.obstacle(0) === undefined);
    expect(
      datapath.configure([vipOf(81, '10.7.0.2'), vipOf(80, '10.7.0.2', '10.7.0.3', '10.7.0.99')]),
    ).toEqual([
      { vip: 1, backends: [1] },
      { vip: 0, backends: [0, 2, 3] },
    ]);
    expect(datapath.placed).toHaveLength(2);
    expect(datapath.obstacle(1)).toBeUndefined();
    expect(datapath.obstacle(2)).toBe('not looked up yet');
    await until(datapath, () => datapath.obstacle(2) === undefined);
    expect(datapath.obstacle(3)).toBe('no neighbour entry for 10.7.0.99 on lb0');
    expect([...datapath.slots(1)]).toEqual(new Array(13).fill(noBackend));
    expect(datapath.capacity).toMatchObject({ vips: 32, flows: 1024 });
    expect(datapath.capacity.backends).toBeGreaterThanOrEqual(64);
  });

  test('gives numbers to others when a second has passed since nothing held them', async () => {
    const datapath = opened([vipOf(80, '10.7.0.2', '10.7.0.3')]);
    datapath.configure([vipOf(80, '10.7.0.3')]);
    expect(datapath.configure([vipOf(80, '10.7.0.3', '10.7.0.4')])[0]!.backends).toEqual([1, 2]);
    const since = performance.now();
    await until(datapath, () => performance.now() - since > 1_500);
    const [placed] = datapath.configure([vipOf(80, '10.7.0.3', '10.7.0.4', '10.7.0.5')]);
    expect(placed!.backends).toEqual([1, 2, 0]);
  });

  test('refuses what it cannot do, and goes on as before', () => {
    const datapath = opened([vipOf(80, '10.7.0.2')]);
    for (const [vips, code, message] of [
      [[vipOf(80, 'fd00::1')], 'USAGE', "'fd00::1' is not an IPv4 address"],
      [
        [vipOf(80, ...Array.from({ length: 254 }, (_, i) => `10.7.1.${i}`))],
        'LIMIT',
        'no room for more than',
      ],
    ] as const) {
      const error = thrownBy(() => datapath.configure(vips));
      expect(error).toMatchObject({ name: 'InbandError', code });
      expect(error.message).toContain(message);
      expect(datapath.placed).toEqual([{ vip: 0, backends: [0] }]);
    }
  });

  test('says which slot a client has: that of its new flow', () => {
    const datapath = opened([vipOf(80, '10.7.0.2')], 251);
    const slots = new Set<number>();
    for (let port = 1; port < 2000; port++) slots.add(datapath.slotOf(0, ip('192.0.2.1'), port));
    expect(slots.size).toBeGreaterThan(240);
    expect(Math.max(...slots)).toBeLessThan(251);
  });
});

describe('a probe', () => {
  const source = { address: ip('10.7.0.1'), portFirst: 61_000, portLast: 61_009 };
  const syn = (srcPort: number) => {
    const tcp = { srcPort, dstPort: 80, flags: 2, seq: 7, window: 1000 };
    return buildFrame({ src: source.address, dst: ip('10.9.0.1'), tcp }).subarray(14);
  };

  test('goes by way of its backend, whose answer in the name of the vip comes to the listener', async () => {
    const datapath = opened([vipOf(80, '10.7.0.2', '10.7.0.99')]);
    expect(datapath.sendProbe(0, syn(61_003))).toBe(false);
    await until(datapath, () => datapath.obstacle(0) === undefined);
    const heard: Uint8Array[] = [];
    datapath.listenProbes(source, (packet) => heard.push(Uint8Array.from(packet)));
    expect(datapath.sendProbe(1, syn(61_003))).toBe(false);
    expect(datapath.sendProbe(0, syn(61_003))).toBe(true);
    await until(datapath, () => heard.length > 0);
    // Nobody listens there: the kernel of the backend resets.
    const [packet] = heard;
    expect(Buffer.from(packet!.subarray(12, 24)).toString('hex')).toBe('0a0900010a0700010050ee4b');
    expect(packet![33]! & 4).toBe(4);
    expect(datapath.packets()).toMatchObject({ probe: 1 });
  });

  test('has one listener: the last', async () => {
    const datapath = opened([vipOf(80, '10.7.0.2')]);
    await until(datapath, () => datapath.obstacle(0) === undefined);
    const heard = [0, 0];
    datapath.listenProbes(source, () => heard[0]!++);
    datapath.listenProbes({ ...source, portFirst: 61_005 }, () => heard[1]!++);
    datapath.sendProbe(0, syn(61_004));
    datapath.sendProbe(0, syn(61_005));
    await until(datapath, () => heard[1]! > 0);
    expect(heard).toEqual([0, 1]);
  });
});
