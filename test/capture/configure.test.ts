import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CaptureDatapath } from '../../src/datapath/capture/datapath.ts';
import {
  type DatapathOptions,
  type DatapathVip,
  type FlowRecord,
  noBackend,
} from '../../src/datapath/datapath.ts';
import { interfaces } from '../../src/datapath/xdp/neighbours.ts';
import { labProgram } from '../../src/lab/requirements.ts';
import { epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { parseAddress, parseEndpoint } from '../../src/net/address.ts';
import { enterLab, ip, ipJson, thrownBy } from '../native/support.ts';
import { ip as address, buildFrame } from '../support/frames.ts';
import { captureUnavailable } from './require.ts';

const unavailable = captureUnavailable();

beforeEach((context) => {
  if (unavailable !== undefined) context.skip(unavailable);
});

const source = '10.9.0.1';
/** Of all backends, and of nobody: what is sent to it is seen by nobody but the link. */
const backendMac = '02:00:00:00:00:11';

const vip = (last: number, backends: readonly number[], rest: Partial<DatapathVip> = {}): DatapathVip => ({
  endpoint: parseEndpoint(`10.0.0.${last}:80/tcp`, 'vip'),
  backends: backends.map((backend) => ({ name: `10.9.0.${backend}` })),
  ...rest,
});

/** A load balancer on `lb0` with backends 10.9.0.11 to 10.9.0.19 in its segment, and what sends to it. */
function aDatapath(vips: readonly DatapathVip[], options: Partial<DatapathOptions> = {}) {
  const { peer } = enterLab();
  ip('address', 'add', `${source}/24`, 'dev', 'lb0');
  // The ring then has room for all that a test sends.
  execFileSync('ethtool', ['-K', 'lb0', 'tso', 'off', 'gso', 'off']);
  for (let last = 11; last < 20; last++) {
    ip('neigh', 'add', `10.9.0.${last}`, 'lladdr', backendMac, 'dev', 'lb0');
  }
  const datapath = CaptureDatapath.open({
    ...{ interface: 'lb0', vips, slots: 251, flows: 65_536 },
    ...{ timeoutsNs: timeoutsDefault, epochNs: epochDefault, cliff: 'smooth' },
    ...options,
  });
  onTestFinished(() => datapath.close());
  const polling = setInterval(() => datapath.poll(), 20);
  onTestFinished(() => clearInterval(polling));
  datapath.poll();
  const mac = [...interfaces().find(({ name }) => name === 'lb0')!.mac]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(':');
  /** Sends so many frames to a vip while this process goes on. */
  const send = async (last: number, count: number, perSecond = 20_000, flows = 10) => {
    const argv = ['peer0', mac, `10.0.0.${last}`, '80', ...[perSecond, count, flows].map(String)];
    const child = spawn('ip', ['netns', 'exec', peer, labProgram('blast'), ...argv], { stdio: 'ignore' });
    expect(await once(child, 'close')).toEqual([0, null]);
  };
  /** Writes a backend, by its place in the vip, to all slots of a vip, by its place in the configuration. */
  const publish = (place: number, backend: number) => {
    const { vip, backends } = datapath.placed[place]!;
    datapath.slots(vip).fill(backends[backend]!);
  };
  const counted = () =>
    Object.fromEntries(Object.entries(datapath.packets()).filter(([, count]) => count > 0));
  /** Frames that left towards backends, as the other end of the link has them. */
  const arrived = (): number => ipJson('-n', peer, '-s', 'link', 'show', 'peer0')[0].stats64.rx.packets;
  /** Puts frames on the wire to the load balancer. */
  const put = async (...frames: Uint8Array[]) => {
    const program = new URL('odd-frames.mjs', import.meta.url).pathname;
    const child = spawn('ip', ['netns', 'exec', peer, process.execPath, program, 'peer0'], {
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    child.stdin.end(frames.map((frame) => Buffer.from(frame).toString('hex')).join('\n'));
    expect(await once(child, 'close')).toEqual([0, null]);
  };
  return { datapath, send, publish, counted, arrived, mac, put };
}

describe('a datapath that captures', () => {
  test('loses no packet, and forwards none twice, while vips and backends change', async () => {
    const { datapath, send, publish, counted, arrived } = aDatapath([vip(1, [11, 12])]);
    publish(0, 0);
    const before = arrived();
    const count = 5_000;
    const done = send(1, count, 5_000);
    let changes = 0;
    for (let isDone = false; !isDone; changes++) {
      const more = changes % 2 === 0 ? [vip(2 + (changes % 20), [13, 14])] : [];
      datapath.configure([...more, vip(1, changes % 3 === 0 ? [11] : [12, 11])]);
      isDone = await Promise.race([done.then(() => true), sleep(5).then(() => false)]);
    }
    await vi.waitFor(() => expect(counted()).toEqual({ tx: count }));
    expect(changes).toBeGreaterThan(5);
    expect(datapath.traffic(0)).toMatchObject({ packets: count, flows: 10, held: 10 });
    expect(datapath.flows()).toMatchObject({ created: 10, active: 10 });
    // The kernel may have had something to say, too.
    expect(arrived() - before).toBeGreaterThanOrEqual(count);
    expect(arrived() - before).toBeLessThan(count + 20);
  });

  test('forwards to a vip from its first packet on, and not before or after it is one', async () => {
    const { datapath, send, publish, counted } = aDatapath([vip(1, [11])]);
    publish(0, 0);
    await send(2, 5);
    const added = datapath.configure([vip(1, [11]), vip(2, [12, 13])]);
    expect(added).toEqual([
      { vip: 0, backends: [0] },
      { vip: 1, backends: [1, 2] },
    ]);
    expect(new Set(datapath.slots(1))).toEqual(new Set([noBackend]));
    await send(2, 3);
    await vi.waitFor(() => expect(counted()).toEqual({ no_backend: 3 }));
    datapath.poll();
    publish(1, 1);
    await send(2, 7);
    await vi.waitFor(() => expect(counted()).toEqual({ no_backend: 3, tx: 7 }));
    expect(datapath.traffic(2).packets).toBe(7);
    datapath.configure([vip(1, [11], { lostFlows: 'resteer' })]);
    expect(datapath.placed).toEqual([{ vip: 0, backends: [0] }]);
    await send(1, 2);
    await vi.waitFor(() => expect(counted()).toMatchObject({ tx: 9 }));
  });

  test('keeps flows of a vip that is gone until they end, and lets no new ones in', async () => {
    const { datapath, send, publish, counted } = aDatapath([vip(1, [11]), vip(2, [12])]);
    publish(0, 0);
    publish(1, 0);
    await send(2, 4, 20_000, 2);
    await vi.waitFor(() => expect(counted()).toEqual({ tx: 4 }));
    datapath.configure([vip(1, [11])]);
    await send(2, 6, 20_000, 3);
    await vi.waitFor(() => expect(counted()).toEqual({ tx: 8, not_vip: 2 }));
    expect(datapath.traffic(1).held).toBe(2);
    datapath.configure([vip(1, [11]), vip(2, [12])]);
    expect(datapath.placed[1]).toEqual({ vip: 1, backends: [1] });
  });

  test('answers flows of a lost backend in the name of the vip', async () => {
    const { datapath, send, publish, counted, arrived } = aDatapath([vip(1, [11, 12])]);
    publish(0, 0);
    await send(1, 10);
    await vi.waitFor(() => expect(counted()).toEqual({ tx: 10 }));
    const before = arrived();
    datapath.configure([vip(1, [12], { lostFlows: 'reset' })]);
    // Until slots are written, they name the backend that is gone.
    await send(1, 10);
    await vi.waitFor(() => expect(counted()).toEqual({ tx: 20 }));
    publish(0, 0);
    await send(1, 20, 20_000, 20);
    await vi.waitFor(() => expect(counted()).toEqual({ tx: 30, reset: 10 }));
    expect(arrived() - before).toBeGreaterThanOrEqual(30);
    expect(datapath.traffic(1)).toMatchObject({ packets: 10, held: 10 });
    expect(datapath.flows()).toMatchObject({ resteered: 0, active: 20 });
  });

  test('shows its flows, and the slots of clients', async () => {
    const { datapath, send, publish, counted } = aDatapath([vip(1, [11])]);
    publish(0, 0);
    await send(1, 3, 20_000, 3);
    await vi.waitFor(() => expect(counted()).toEqual({ tx: 3 }));
    const flows: FlowRecord[] = [];
    expect(datapath.scanFlows(0, (flow) => flows.push(flow))).toBeUndefined();
    expect(flows.map(({ clientAddress, clientPort }) => `${clientAddress}:${clientPort}`)).toEqual([
      ...['10.128.0.0:16384', '10.128.0.0:16385', '10.128.0.0:16386'],
    ]);
    for (const flow of flows) {
      expect(flow).toMatchObject({ vip: 0, backend: 0, state: 'new', estimator: 'auto' });
      expect(flow.idleNs).toBeLessThan(60e9);
    }
    const client = parseAddress('10.128.0.0')!;
    datapath.slots(0).fill(noBackend)[datapath.slotOf(0, client, 16_399)] = 0;
    await send(1, 16, 20_000, 16);
    await vi.waitFor(() => expect(counted()).toEqual({ tx: 7, no_backend: 12 }));
  });

  test('sends probes to backends, and hears their replies', async () => {
    const { datapath, publish, counted, arrived, mac, put } = aDatapath([vip(1, [11])]);
    publish(0, 0);
    const replies: Buffer[] = [];
    const from = { address: address(source), portFirst: 61_000, portLast: 61_001 };
    datapath.listenProbes(from, (packet) => replies.push(Buffer.from(packet)));
    const tcp = { srcPort: 61_000, dstPort: 80, flags: 2 };
    const probe = buildFrame({ link: 101, src: address(source), dst: address('10.0.0.1'), tcp });
    const before = arrived();
    expect(datapath.sendProbe(0, probe)).toBe(true);
    await vi.waitFor(() => expect(arrived()).toBeGreaterThan(before));
    expect(datapath.sendProbe(5, probe)).toBe(false);
    expect(datapath.traffic(0)).toEqual({ packets: 0, bytes: 0, flows: 0, held: 0 });
    const answer = (srcPort: number, dstPort: number) =>
      buildFrame({
        dstMac: Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16)),
        ...{ src: address('10.0.0.1'), dst: address(source), tcp: { srcPort, dstPort, flags: 0x12 } },
      });
    const frames = [answer(80, 61_001), answer(80, 61_002), answer(81, 61_001)];
    await put(...frames);
    await vi.waitFor(() => expect(counted()).toEqual({ probe: 1, not_vip: 1 }));
    expect(replies).toEqual([Buffer.from(frames[0]!.subarray(14))]);
  });

  test('answers ARP for vips as they come and go', async () => {
    const { datapath, counted, put } = aDatapath([vip(1, [11])], { answerArp: true });
    const asked = [1, 2, 3].map((last) =>
      Uint8Array.of(
        ...[255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        ...[2, 0, 0, 0, 0, 9, 10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 10, 0, 0, last],
      ),
    );
    const answered = (count: number) => vi.waitFor(() => expect(counted()).toEqual({ arp_answered: count }));
    await put(...asked);
    await answered(1);
    datapath.configure([vip(1, [11]), vip(3, [11])]);
    await put(...asked);
    await answered(3);
    datapath.configure([vip(3, [11])]);
    // That nothing holds the vip any more is found out by and by.
    await vi.waitFor(
      async () => {
        const { arp_answered } = datapath.packets();
        await put(...asked);
        await vi.waitFor(() => expect(datapath.packets().arp_answered).toBe(arp_answered! + 1));
      },
      { timeout: 10_000 },
    );
  });

  test('refuses what it cannot do, and goes on as before', async () => {
    const { datapath, send, publish, counted } = aDatapath([vip(1, [11])]);
    publish(0, 0);
    const { placed } = datapath;
    ip('address', 'add', '10.0.0.7/32', 'dev', 'lo');
    const refusals: [vips: DatapathVip[], code: string][] = [
      [[vip(7, [11])], 'ENVIRONMENT'],
      [[vip(2, [11]), vip(2, [12])], 'CONFIG_INVALID'],
      [[vip(2, [], { backends: [{ name: 'nowhere' }] })], 'USAGE'],
      [[vip(2, [], { backends: [{ name: '2001:db8::1', encapsulation: 'ipip' }] })], 'USAGE'],
    ];
    for (const [vips, code] of refusals) {
      expect(thrownBy(() => datapath.configure([vip(1, [12]), ...vips]))).toMatchObject({ code });
      expect(datapath.placed).toBe(placed);
    }
    await send(1, 3);
    await vi.waitFor(() => expect(counted()).toEqual({ tx: 3 }));
    await send(2, 3);
    await sleep(50);
    expect(counted()).toEqual({ tx: 3 });
  });

  test('says how packets are sent by what it is configured with now', () => {
    const { datapath } = aDatapath([vip(1, [11])]);
    expect([datapath.mode, datapath.adopted]).toEqual(['l2', false]);
    datapath.configure([vip(1, [11], { backends: [{ name: '10.9.0.11', encapsulation: 'ipip' }] })]);
    expect(datapath.mode).toBe('ipip');
    expect(datapath.placed[0]!.backends).toEqual([0]);
    datapath.configure([
      vip(1, [11]),
      vip(2, [], { backends: [{ name: '10.9.0.12', encapsulation: 'ipip' }] }),
    ]);
    expect(datapath.mode).toBe('l2+ipip');
    expect(datapath.capacity).toEqual({ vips: 65_536, backends: 65_535, flows: 65_536 });
  });
});
