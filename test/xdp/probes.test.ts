import { beforeEach, describe, expect, test } from 'vitest';
import type { FlowRecord } from '../../src/datapath/datapath.ts';
import { inbandLimit } from '../../src/generated/layout.ts';
import { needsXdp } from '../native/support.ts';
import { buildFrame, type Frame, ip } from '../support/frames.ts';
import { startNs, TestProgram, vip, xdp } from './support.ts';

beforeEach(needsXdp);

const source = { address: ip('10.0.0.200'), portFirst: 50_000, portLast: 50_009 };

function listening(): { bed: TestProgram; heard: () => Uint8Array[] } {
  const bed = new TestProgram({
    vips: [vip('10.0.0.1:80/tcp', 13), vip('10.0.0.1:53/udp', 13, 1)],
    backends: 2,
  });
  bed.program.setProbeSource(source);
  const heard = () => {
    const packets: Uint8Array[] = [];
    bed.program.drainProbes((packet) => packets.push(Uint8Array.from(packet)));
    return packets;
  };
  return { bed, heard };
}

const answer = (dstPort: number, more: Partial<Frame> = {}) =>
  buildFrame({ src: ip('10.0.0.1'), dst: source.address, tcp: { srcPort: 80, dstPort, flags: 18 }, ...more });

describe('an answer to a probe', () => {
  test('goes to user space from its IP header on, and not to the kernel', () => {
    const { bed, heard } = listening();
    const first = answer(50_000, { payload: Uint8Array.of(1, 2, 3) });
    const tagged = answer(50_009, { vlans: [7] });
    for (const frame of [first, tagged]) expect(bed.run(frame, startNs).verdict).toBe(xdp.drop);
    expect(heard()).toEqual([first.subarray(14), tagged.subarray(18)]);
    expect(heard()).toEqual([]);
    expect(bed.program.counters.packets()).toMatchObject({ probe: 2, not_vip: 0 });
  });

  test('of a vip of UDP is one as well', () => {
    const { bed, heard } = listening();
    const frame = buildFrame({
      src: ip('10.0.0.1'),
      dst: source.address,
      udp: { srcPort: 53, dstPort: 50_001 },
    });
    bed.run(frame, startNs);
    expect(heard()).toEqual([frame.subarray(14)]);
  });

  test('comes whole when it is as long as a frame may be, without what pads the frame', () => {
    const { bed, heard } = listening();
    const longest = answer(50_000, { payload: new Uint8Array(inbandLimit.probeBytesMax - 40).fill(5) });
    bed.run(longest, startNs);
    bed.run(answer(50_000, { trailer: new Uint8Array(6).fill(9) }), startNs);
    expect(heard()).toEqual([longest.subarray(14), answer(50_000).subarray(14)]);
  });

  test('is lost, and counted, when it is longer or when nobody reads', () => {
    const { bed, heard } = listening();
    bed.run(answer(50_000, { payload: new Uint8Array(inbandLimit.probeBytesMax - 39) }), startNs);
    expect(heard()).toEqual([]);
    expect(bed.program.counters.flows().probes_lost).toBe(1);
    for (let i = 0; i < 1000; i++) bed.run(answer(50_000), startNs);
    const read = heard().length;
    expect(read).toBeGreaterThan(500);
    expect(bed.program.counters.flows().probes_lost).toBe(1 + 1000 - read);
    expect(bed.program.counters.packets().probe).toBe(1001);
  });

  for (const [what, frame] of [
    ['to a port below', answer(49_999)],
    ['to a port above', answer(50_010)],
    ['to another address', answer(50_000, { dst: ip('10.0.0.201') })],
    ['from an address that is no vip', answer(50_000, { src: ip('10.0.0.2') })],
    ['from a port that is no vip', answer(50_000, { tcp: { srcPort: 81, dstPort: 50_000 } })],
    [
      'of the other protocol',
      buildFrame({ src: ip('10.0.0.1'), dst: source.address, udp: { srcPort: 80, dstPort: 50_000 } }),
    ],
  ] as const) {
    test(`is not what is sent ${what}`, () => {
      const { bed, heard } = listening();
      expect(bed.run(frame, startNs).verdict).toBe(xdp.pass);
      expect(heard()).toEqual([]);
      expect(bed.program.counters.packets()).toMatchObject({ probe: 0, not_vip: 1 });
    });
  }

  test('goes to the kernel when nobody probes', () => {
    const { bed } = listening();
    bed.program.setProbeSource(undefined);
    expect(bed.run(answer(50_000), startNs).verdict).toBe(xdp.pass);
  });
});

describe('a look at the flow table', () => {
  test('shows each flow once, with all that is asked about it', () => {
    const vips = [vip('10.0.0.1:80/tcp', 13), vip('10.0.0.2:80/tcp', 13, 1, 'auto')];
    const bed = new TestProgram({ vips, backends: 2, flows: 20_000 });
    bed.program.slots(0).fill(0);
    bed.program.slots(1).fill(1);
    const send = (dst: string, srcPort: number, flags: number) =>
      bed.run(
        buildFrame({ src: ip('192.0.2.9'), dst: ip(dst), tcp: { srcPort, dstPort: 80, flags } }),
        startNs,
      );
    for (let srcPort = 1; srcPort <= 3000; srcPort++) send('10.0.0.1', srcPort, 2);
    for (const flags of [2, 16]) send('10.0.0.2', 5000, flags);
    for (const flags of [2, 16, 17]) send('10.0.0.2', 5001, flags);
    const shown: FlowRecord[] = [];
    let looks = 0;
    for (let cursor: number | undefined = 0; cursor !== undefined; looks++) {
      const before: number = shown.length;
      cursor = bed.program.scanFlows(cursor, startNs + 5, (flow) => shown.push(flow));
      expect(shown.length - before).toBeLessThan(1_100);
    }
    expect(looks).toBeGreaterThan(3);
    expect(shown).toHaveLength(3002);
    const ports = shown.filter(({ vip }) => vip === 0).map(({ clientPort }) => clientPort);
    expect(new Set(ports).size).toBe(3000);
    const byPort = (port: number) => shown.find(({ clientPort }) => clientPort === port);
    const client = { clientAddress: '192.0.2.9', idleNs: 5 };
    expect(byPort(7)).toEqual({
      ...client,
      clientPort: 7,
      vip: 0,
      backend: 0,
      state: 'new',
      estimator: 'ensemble',
    });
    const second = { ...client, vip: 1, backend: 1, estimator: 'auto' };
    expect(byPort(5000)).toEqual({ ...second, clientPort: 5000, state: 'established' });
    expect(byPort(5001)).toEqual({ ...second, clientPort: 5001, state: 'closing' });
  });
});
