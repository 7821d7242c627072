import { beforeEach, describe, expect, test } from 'vitest';
import { noBackend } from '../../src/datapath/datapath.ts';
import { checksumAdd, checksumFinish } from '../../src/net/checksum.ts';
import { ns } from '../../src/units.ts';
import { needsXdp } from '../native/support.ts';
import { buildFrame, concat, type Frame, ip } from '../support/frames.ts';
import { flowTable, startNs, TestProgram, vip, withBackends, xdp } from './support.ts';

beforeEach(needsXdp);

const second = 1e9;
const flag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;
const srcMac = Uint8Array.of(2, 0, 0, 0, 0, 0xc1);
const dstMac = Uint8Array.of(2, 0, 0, 0, 0, 0xfb);
const ends = { srcMac, dstMac, src: ip('192.0.2.7'), dst: ip('10.0.0.1') };
const ports = { srcPort: 4000, dstPort: 80 };

const segment = (flags: number, more: Partial<Frame> = {}, seq = 100, ack = 900) =>
  buildFrame({ ...ends, ...more, tcp: { ...ports, flags, seq, ack } });
const datagram = () => buildFrame({ ...ends, udp: { srcPort: 4000, dstPort: 53 } });

/** Two vips, of TCP and UDP, with an established flow each at backend 0; slots name backend 1 by now. */
function established(): TestProgram {
  const vips = [vip('10.0.0.1:80/tcp', 13, 0), vip('10.0.0.1:53/udp', 13, 3)];
  const bed = new TestProgram({ vips, backends: 5 });
  bed.program.slots(0).fill(0);
  bed.program.slots(1).fill(3);
  bed.run(segment(flag.syn), startNs);
  bed.run(segment(flag.ack), startNs);
  bed.run(datagram(), startNs);
  bed.run(datagram(), startNs);
  bed.program.slots(0).fill(1);
  bed.program.slots(1).fill(4);
  return bed;
}

const counts = ({ program }: TestProgram) => program.counters.flows();
const heldBy = ({ program }: TestProgram, ...backends: number[]) =>
  backends.map((backend) => program.counters.traffic(backend).held);

describe('packets of a flow whose backend is lost', () => {
  test('go on to it when it is to be kept', () => {
    const bed = established();
    expect(bed.run(segment(flag.ack), startNs).backend).toBe(0);
    expect(heldBy(bed, 0, 1)).toEqual([1, 0]);
  });

  test('begin the flow anew at the backend in its slot when it is to be re-steered, and stay there', () => {
    const bed = established();
    bed.program.setFate(0, 'resteer');
    expect(bed.run(segment(flag.ack), startNs).backend).toBe(1);
    expect(heldBy(bed, 0, 1)).toEqual([0, 1]);
    expect(counts(bed)).toMatchObject({ created: 3, resteered: 1, active: 2 });
    bed.program.slots(0).fill(2);
    expect(bed.run(segment(flag.ack), startNs).backend).toBe(1);
    expect(bed.program.counters.traffic(1)).toMatchObject({ packets: 2, flows: 1 });
  });

  test('are dropped where the slot has no backend, and the flow is over', () => {
    const bed = established();
    bed.program.setFate(0, 'resteer');
    bed.program.slots(0).fill(noBackend);
    expect(bed.run(segment(flag.ack), startNs).verdict).toBe(xdp.drop);
    expect(heldBy(bed, 0)).toEqual([0]);
    expect(counts(bed)).toMatchObject({ created: 2, resteered: 1 });
  });

  for (const fate of ['resteer', 'reset'] as const) {
    test(`go on to it while the slot names it all the same: ${fate}`, () => {
      const bed = established();
      bed.program.slots(0).fill(0);
      bed.program.setFate(0, fate);
      expect(bed.run(segment(flag.ack), startNs).backend).toBe(0);
      expect(bed.run(segment(flag.syn, {}, 7), startNs).backend).toBe(0);
      expect(counts(bed)).toMatchObject({ resteered: 0, reopened: 1 });
    });

    test(`that are resets still go to it: ${fate}`, () => {
      const bed = established();
      bed.program.setFate(0, fate);
      expect(bed.run(segment(flag.rst), startNs).backend).toBe(0);
      expect(counts(bed)).toMatchObject({ closed: 1, resteered: 0 });
      expect(heldBy(bed, 0)).toEqual([0]);
    });

    test(`begin it anew elsewhere when they are datagrams or SYNs: ${fate}`, () => {
      const bed = established();
      bed.program.setFate(0, fate);
      bed.program.setFate(3, fate);
      expect(bed.run(datagram(), startNs).backend).toBe(4);
      expect(bed.run(segment(flag.syn), startNs).backend).toBe(1);
      expect(counts(bed)).toMatchObject({ resteered: 2, active: 2 });
    });

    test(`go on as ever when the backend is back: ${fate}`, () => {
      const bed = established();
      bed.program.setFate(0, fate);
      bed.program.setFate(0, 'keep');
      expect(bed.run(segment(flag.ack), startNs).backend).toBe(0);
    });

    test(`do not depend on whether that backend can be reached: ${fate}`, () => {
      const bed = established();
      bed.program.setFate(0, fate);
      bed.program.setBackend(0, undefined);
      const { verdict, backend } = bed.run(segment(flag.ack), startNs);
      expect([verdict, backend]).toEqual([xdp.tx, fate === 'reset' ? -1 : 1]);
    });
  }
});

/** A frame with a TCP header and no options, and whether its checksums are right. */
function read(frame: Uint8Array, tags = 0) {
  const at = 14 + 4 * tags;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const pseudo = checksumAdd(6 + 20, frame, at + 12, at + 20);
  return {
    macs: Buffer.from(frame.subarray(0, 12)).toString('hex'),
    length: frame.length - at,
    ipLength: view.getUint16(at + 2),
    ends: Buffer.from(frame.subarray(at + 12, at + 24)).toString('hex'),
    seq: view.getUint32(at + 24),
    ack: view.getUint32(at + 28),
    flags: view.getUint8(at + 33),
    ipSum: checksumFinish(checksumAdd(0, frame, at, at + 20)),
    tcpSum: checksumFinish(checksumAdd(pseudo, frame, at + 20, at + 40)),
  };
}

describe('a segment to be reset is answered in the name of the vip', () => {
  const answer = {
    macs: Buffer.from(concat(srcMac, dstMac)).toString('hex'),
    length: 40,
    ipLength: 40,
    ends: '0a000001' + 'c0000207' + '0050' + '0fa0',
    ipSum: 0,
    tcpSum: 0,
  };

  for (const [what, frame, tags, expected] of [
    ['an ACK', segment(flag.ack), 0, { seq: 900, ack: 0, flags: flag.rst }],
    [
      'data with options of IPv4 and TCP, behind tags',
      buildFrame({
        ...ends,
        vlans: [1, 2],
        ipOptions: new Uint8Array(8).fill(1),
        tcp: {
          ...ports,
          flags: flag.ack | flag.psh,
          seq: 5,
          ack: 0xfffffff0,
          options: new Uint8Array(12).fill(1),
        },
        payload: new Uint8Array(1000).fill(7),
      }),
      2,
      { seq: 0xfffffff0, ack: 0, flags: flag.rst },
    ],
    [
      'a FIN without ACK, with data',
      segment(flag.fin, { payload: new Uint8Array(11) }, 0xfffffffa),
      0,
      { seq: 0, ack: 6, flags: flag.rst | flag.ack },
    ],
    ['a SYN-ACK', segment(flag.syn | flag.ack), 0, { seq: 900, ack: 0, flags: flag.rst }],
    ['a frame of several buffers', segment(flag.ack, { payload: new Uint8Array(8000) }), 0, { seq: 900 }],
    ['a padded frame', segment(flag.ack, { trailer: new Uint8Array(6).fill(9) }), 0, { seq: 900 }],
  ] as const) {
    test(what, () => {
      const bed = established();
      bed.program.setFate(0, 'reset');
      const { verdict, frame: out } = bed.run(frame, startNs);
      expect(verdict).toBe(xdp.tx);
      expect(read(out, tags)).toMatchObject({ ...answer, ...expected });
      expect(bed.program.counters.packets()).toMatchObject({ reset: 1, tx: 4, no_backend: 0 });
      expect(bed.program.counters.traffic(0)).toMatchObject({ packets: 2 });
    });
  }

  test('and so are those that follow, until none has come for 10 s; a new connection begins elsewhere', () => {
    const bed = established();
    bed.program.setFate(0, 'reset');
    for (const after of [0, 9, 18]) bed.run(segment(flag.ack), startNs + after * second);
    expect(bed.program.counters.packets().reset).toBe(3);
    expect(heldBy(bed, 0)).toEqual([1]);
    expect(bed.run(segment(flag.syn, {}, 7), startNs + 19 * second).backend).toBe(1);
    expect(heldBy(bed, 0, 1)).toEqual([0, 1]);
    const other = established();
    other.program.setFate(0, 'reset');
    other.run(segment(flag.ack), startNs);
    expect(other.run(segment(flag.ack), startNs + 10 * second + 1).backend).toBe(1);
  });
});

describe('a sweep ends flows', () => {
  test('past their time-out, and no others', () => {
    const bed = established();
    expect(bed.sweep(startNs + 900 * second)).toBe(0);
    expect(bed.sweep(startNs + 900 * second + 1)).toBe(2);
    expect(counts(bed)).toMatchObject({ idle: 2, active: 0 });
    expect(flowTable(bed.program).lines).toEqual([]);
    expect(heldBy(bed, 0, 3)).toEqual([0, 0]);
  });

  test('of lost backends when they are idle for 10 s', () => {
    const bed = established();
    bed.program.setFate(0, 'reset');
    expect(bed.sweep(startNs + 10 * second)).toBe(0);
    expect(bed.sweep(startNs + 10 * second + 1)).toBe(1);
    expect(heldBy(bed, 0, 3)).toEqual([0, 1]);
  });

  test('wherever they are, and counts that they are in their later choices of sets no longer', () => {
    const secret = BigUint64Array.from([1, 3, 5, 7, 9, 11], (odd) => BigInt(odd) * 0x9e3779b97f4a7c15n);
    const bed = new TestProgram({ vips: [vip('10.0.0.1:80/tcp', 13)], backends: 1, flows: 40, secret });
    bed.program.slots(0).fill(0);
    for (let srcPort = 1; srcPort <= 200; srcPort++) {
      for (const flags of [flag.syn, flag.ack])
        bed.run(buildFrame({ ...ends, tcp: { srcPort, dstPort: 80, flags, seq: 1 } }), startNs);
    }
    const { lines, spilled } = flowTable(bed.program);
    expect(spilled).toBeGreaterThan(0);
    expect(heldBy(bed, 0)).toEqual([lines.length]);
    expect(bed.sweep(startNs + 1000 * second)).toBe(lines.length);
    expect(flowTable(bed.program)).toEqual({ lines: [], spilled: 0 });
    expect(heldBy(bed, 0)).toEqual([0]);
  });

  test('and takes back the requests that they have in flight', () => {
    const bed = new TestProgram({ vips: [vip('10.0.0.1:80/tcp', 13, 0, 'auto')], backends: 1 });
    bed.program.slots(0).fill(0);
    bed.run(segment(flag.syn), startNs);
    bed.run(segment(flag.ack, { payload: new Uint8Array(10) }, 101), startNs + 1e6);
    const signals = bed.program.signals(0);
    signals.update(ns(startNs + 1e6));
    expect(signals.inFlight).toBe(1);
    expect(bed.sweep(startNs + 1000 * second)).toBe(1);
    signals.update(ns(startNs + 2e6));
    expect(signals.inFlight).toBe(0);
  });
});

describe('a vip that is left out', () => {
  const all = withBackends([vip('10.0.0.1:80/tcp', 13, 0), vip('10.0.0.1:53/udp', 13, 3)], 5);
  const left = (fate: 'keep' | 'resteer' | 'reset') => {
    const bed = established();
    bed.program.configure(all.map((one) => ({ ...one, lostFlows: fate })));
    bed.program.configure([all[1]!]);
    return bed;
  };
  const other = buildFrame({ ...ends, tcp: { ...ports, srcPort: 4001, flags: flag.syn } });

  test('takes no new flows: their packets go to the kernel; those that it has are kept', () => {
    const bed = left('keep');
    expect(bed.run(other, startNs).verdict).toBe(xdp.pass);
    expect(bed.program.counters.packets().not_vip).toBe(1);
    expect(bed.run(segment(flag.ack), startNs).backend).toBe(0);
    expect(counts(bed)).toMatchObject({ created: 2, untracked: 0 });
  });

  test('lets those go that are to be re-steered, as there is nowhere to', () => {
    const bed = left('resteer');
    expect(bed.run(segment(flag.ack), startNs).verdict).toBe(xdp.pass);
    expect(bed.run(segment(flag.ack), startNs).verdict).toBe(xdp.pass);
    expect(counts(bed)).toMatchObject({ resteered: 1, active: 1 });
  });

  test('resets those that are to be reset', () => {
    const bed = left('reset');
    const { verdict, frame } = bed.run(segment(flag.ack), startNs);
    expect(verdict).toBe(xdp.tx);
    expect(read(frame).flags).toBe(flag.rst);
  });

  test('begins a flow anew for nobody: a new SYN goes to the kernel, and the old flow is over', () => {
    const bed = left('keep');
    expect(bed.run(segment(flag.syn, {}, 7), startNs).verdict).toBe(xdp.pass);
    expect(counts(bed)).toMatchObject({ reopened: 1, active: 1 });
    expect(heldBy(bed, 0)).toEqual([0]);
  });

  test('has its flows again when it comes back in time', () => {
    const bed = left('reset');
    bed.program.configure(all);
    expect(bed.run(segment(flag.ack), startNs).backend).toBe(0);
    expect(bed.run(other, startNs).verdict).toBe(xdp.drop);
    bed.program.slots(0).fill(2);
    expect(bed.run(other, startNs).backend).toBe(2);
  });

  test('gives its numbers to others when its flows are over, and nothing of it is left', () => {
    const bed = left('keep');
    for (let nowMs = 0; nowMs < 3000; nowMs += 100) expect(bed.program.release(nowMs)).not.toContain(0);
    expect(bed.sweep(startNs + 901 * second)).toBe(2);
    const freed = [0, 1000, 2000].flatMap((nowMs) => bed.program.release(10_000 + nowMs));
    expect(freed).toEqual([0]);
    const [vip81] = withBackends([vip('10.0.0.1:81/tcp', 13, 0)], 2);
    const placed = bed.program.configure([vip81!, all[1]!]);
    expect(placed[0]).toEqual({ vip: 0, backends: [0, 1] });
    expect(bed.program.counters.traffic(0)).toEqual({ packets: 0, bytes: 0, flows: 0, held: 0 });
    expect(bed.run(segment(flag.ack), startNs).verdict).toBe(xdp.pass);
  });
});
