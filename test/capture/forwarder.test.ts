import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Forwarder, frameBytesMax, headroomBytes, reasons } from '../../src/datapath/capture/forwarder.ts';
import { noBackend } from '../../src/datapath/datapath.ts';
import { epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { parseEndpoint } from '../../src/net/address.ts';
import { ns } from '../../src/units.ts';
import { anyFrame } from '../support/arbitraries.ts';
import { buildFrame, type Frame, ip } from '../support/frames.ts';

const macs = { mac: Uint8Array.of(2, 0, 0, 0, 0, 7), sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 1) };
const request: Frame = {
  src: ip('192.0.2.1'),
  dst: ip('10.0.0.1'),
  tcp: { srcPort: 1234, dstPort: 80, flags: 0x18 },
  payload: Uint8Array.of(1, 2, 3),
};

let sent: { kind: 'frame' | 'packet'; bytes: Buffer; to: string }[];
let failure: Error | undefined;
let forwarder: Forwarder;

beforeEach(() => {
  sent = [];
  failure = undefined;
  const send = (kind: 'frame' | 'packet', bytes: Buffer, to: string) => {
    if (failure) throw failure;
    sent.push({ kind, bytes: Buffer.from(bytes), to });
  };
  forwarder = new Forwarder(
    {
      vips: ['10.0.0.1:80/tcp', '[2001:db8::1]:80/tcp'].map((text) => ({
        endpoint: parseEndpoint(text, 'vip'),
        backends: 2,
      })),
      slots: 13,
      flows: 1000,
      estimators: ['handshake'],
      timeoutsNs: timeoutsDefault,
      epochNs: epochDefault,
    },
    {
      sendFrame: (length) => send('frame', forwarder.frame.subarray(0, length), ''),
      sendPacket: (at, length, to) => send('packet', forwarder.memory.subarray(at, at + length), to),
    },
  );
  forwarder.mtu = 1500;
  forwarder.slots(0).fill(0);
  forwarder.slots(1).fill(2);
});

const l2 = { encapsulation: 'l2', ...macs } as const;
const ipip = {
  encapsulation: 'ipip',
  source: ip('10.9.0.2').words[0],
  destination: ip('203.0.113.7').words[0],
  destinationText: '203.0.113.7',
  mtu: 1500,
} as const;

function handle(frame: Uint8Array, isCut = false): number {
  forwarder.frame.set(frame);
  return forwarder.handle(frame.length, isCut, ns(1e9));
}

const counted = (): Record<string, number> =>
  Object.fromEntries(
    reasons.flatMap((name, i) => (forwarder.counts[i]! > 0 ? [[name, forwarder.counts[i]!]] : [])),
  );

describe('a forwarder', () => {
  it('sends a frame to its backend with nothing but the MAC addresses changed', () => {
    forwarder.setHop(0, l2);
    const frame = buildFrame(request);
    expect(handle(frame)).toBe(0);
    const expected = Buffer.concat([macs.mac, macs.sourceMac, frame.subarray(12)]);
    expect(sent).toEqual([{ kind: 'frame', bytes: expected, to: '' }]);
    expect(forwarder.traffic(0)).toEqual({ packets: 1, bytes: frame.length - 14, flows: 1, held: 1 });
  });

  it('keeps VLAN tags', () => {
    forwarder.setHop(0, l2);
    const frame = buildFrame({ ...request, vlans: [7] });
    handle(frame);
    expect(Buffer.compare(sent[0]!.bytes.subarray(12), frame.subarray(12))).toBe(0);
  });

  it('puts a packet in front of the packet, without Ethernet, tags or padding, where it is routed', () => {
    forwarder.setHop(0, ipip);
    for (const vlans of [[], [7], [7, 8]]) {
      const frame = buildFrame({ ...request, vlans, trailer: new Uint8Array(6) });
      expect(handle(frame)).toBe(0);
      const { kind, bytes, to } = sent.at(-1)!;
      const start = 14 + 4 * vlans.length;
      expect([kind, to, bytes.length]).toEqual(['packet', '203.0.113.7', 20 + 43]);
      expect(Buffer.compare(bytes.subarray(20), frame.subarray(start, start + 43))).toBe(0);
      expect([...bytes.subarray(12, 20)]).toEqual([10, 9, 0, 2, 203, 0, 113, 7]);
    }
  });

  it('chooses between the two by backend', () => {
    forwarder.setHop(0, ipip);
    forwarder.setHop(1, l2);
    handle(buildFrame(request));
    forwarder.slots(0).fill(1);
    handle(buildFrame({ ...request, src: ip('192.0.2.2') }));
    expect(sent.map(({ kind }) => kind)).toEqual(['packet', 'frame']);
    expect(counted()).toEqual({ ok: 1, ipip: 1 });
  });

  it('drops what is for a backend without a next hop', () => {
    expect(handle(buildFrame(request))).toBe(-1);
    expect(sent).toEqual([]);
    expect(counted()).toEqual({ no_backend: 1 });
  });

  it('sends IPv6 to a backend of its vip', () => {
    for (let backend = 0; backend < 4; backend++) forwarder.setHop(backend, l2);
    const frame = buildFrame({ ...request, src: ip('2001:db8:1::9'), dst: ip('2001:db8::1') });
    expect(handle(frame)).toBe(2);
    expect(Buffer.compare(sent[0]!.bytes.subarray(12), frame.subarray(12))).toBe(0);
    forwarder.slots(1).fill(3);
    expect(handle(buildFrame({ ...request, src: ip('2001:db8:2::9'), dst: ip('2001:db8::1') }))).toBe(3);
  });

  it('leaves alone what is not for a vip', () => {
    handle(buildFrame({ ...request, dst: ip('10.0.0.2') }));
    handle(buildFrame({ ...request, tcp: { srcPort: 1, dstPort: 81 } }));
    expect(counted()).toEqual({ not_vip: 2 });
  });

  it('does not send what was cut off', () => {
    forwarder.setHop(0, l2);
    expect(handle(buildFrame(request), true)).toBe(-1);
    expect(counted()).toEqual({ truncated: 1 });
  });

  it('sends frames up to the MTU, and counts larger ones', () => {
    forwarder.setHop(0, l2);
    const sized = (payload: number, vlans: number[] = []) =>
      buildFrame({ ...request, vlans, payload: new Uint8Array(payload) });
    expect(handle(sized(1460))).toBe(0);
    expect(handle(sized(1460, [7]))).toBe(0);
    expect(handle(sized(1461))).toBe(-1);
    expect(handle(sized(20_000))).toBe(-1);
    expect(counted()).toEqual({ ok: 2, too_big: 2 });
  });

  it('leaves room for the outer header in the MTU', () => {
    forwarder.setHop(0, ipip);
    expect(handle(buildFrame({ ...request, payload: new Uint8Array(1440) }))).toBe(0);
    expect(handle(buildFrame({ ...request, payload: new Uint8Array(1441) }))).toBe(-1);
    expect(counted()).toEqual({ ipip: 1, too_big: 1 });
  });

  it('counts what the kernel refuses and goes on', () => {
    forwarder.setHop(0, l2);
    failure = new Error('send: No buffer space available');
    expect(handle(buildFrame(request))).toBe(-1);
    expect(forwarder.lastFailure).toBe(failure);
    failure = undefined;
    expect(handle(buildFrame(request))).toBe(0);
    expect(counted()).toEqual({ ok: 1, send_failed: 1 });
    expect(forwarder.traffic(0).packets).toBe(1);
  });

  it('keeps a flow with its backend when slots move', () => {
    forwarder.setHop(0, l2);
    forwarder.setHop(1, l2);
    expect(handle(buildFrame(request))).toBe(0);
    forwarder.slots(0).fill(1);
    expect(handle(buildFrame(request))).toBe(0);
    expect(handle(buildFrame({ ...request, tcp: { srcPort: 1235, dstPort: 80 } }))).toBe(1);
  });

  it('measures', () => {
    forwarder.setHop(0, l2);
    const window = forwarder.samples.window(0, 0);
    const at = (flags: number, nowNs: number) => {
      const frame = buildFrame({ ...request, tcp: { srcPort: 99, dstPort: 80, flags } });
      forwarder.frame.set(frame);
      forwarder.handle(frame.length, false, ns(nowNs));
    };
    at(0x02, 1e9);
    at(0x10, 1e9 + 70_000);
    window.update();
    expect([window.count, window.meanNs]).toEqual([1, 70_000]);
  });

  it('sends new flows nowhere before slots are written, and those of the slots that hold no backend', () => {
    forwarder.setHop(0, l2);
    forwarder.slots(0).fill(noBackend);
    expect(handle(buildFrame(request))).toBe(-1);
    expect(counted()).toEqual({ no_backend: 1 });
    expect(forwarder.engine.flows.active).toBe(0);
    const added = forwarder.addVip(parseEndpoint('10.0.0.9:80/tcp', 'vip'));
    expect(new Set(forwarder.slots(added))).toEqual(new Set([noBackend]));
  });

  it('finds the slot of a client', () => {
    for (const backend of [0, 1]) forwarder.setHop(backend, l2);
    for (const [vip, dst] of [
      [0, '10.0.0.1'],
      [1, '2001:db8::1'],
    ] as const) {
      const src = ip(vip === 0 ? '192.0.2.77' : '2001:db8:7::77');
      const slot = forwarder.slotOf(vip, src, 4_321);
      forwarder.slots(vip).fill(0)[slot] = 1;
      const tcp = { srcPort: 4_321, dstPort: 80, flags: 2 };
      expect(handle(buildFrame({ src, dst: ip(dst), tcp }))).toBe(1);
    }
  });

  it('counts the flows that a backend holds', () => {
    for (const backend of [0, 1]) forwarder.setHop(backend, l2);
    const from = (srcPort: number, flags: number) =>
      handle(buildFrame({ ...request, tcp: { srcPort, dstPort: 80, flags } }));
    const held = () => [0, 1].map((backend) => forwarder.traffic(backend).held);
    from(1, 0x02);
    from(2, 0x02);
    expect(held()).toEqual([2, 0]);
    from(1, 0x04);
    expect(held()).toEqual([1, 0]);
    forwarder.slots(0).fill(1);
    forwarder.setFate(0, 'resteer');
    from(2, 0x10);
    expect(held()).toEqual([0, 1]);
    expect([0, 1].map((backend) => forwarder.traffic(backend).flows)).toEqual([2, 1]);
    expect([0, 1].map((backend) => forwarder.isHeld(backend))).toEqual([false, true]);
  });

  it('answers segments of a lost backend by a reset to where they came from', () => {
    for (const backend of [0, 1]) forwarder.setHop(backend, l2);
    const frame = buildFrame({ ...request, vlans: [7], srcMac: macs.mac, dstMac: macs.sourceMac });
    handle(frame);
    forwarder.slots(0).fill(1);
    forwarder.setFate(0, 'reset');
    forwarder.setHop(0, undefined);
    expect(handle(frame)).toBe(-1);
    const { bytes } = sent.at(-1)!;
    expect(bytes.length).toBe(14 + 4 + 40);
    expect(Buffer.compare(bytes.subarray(0, 12), Buffer.concat([macs.mac, macs.sourceMac]))).toBe(0);
    expect([bytes[18 + 20 + 13], bytes.readUInt16BE(18 + 20), bytes.readUInt16BE(18 + 22)]).toEqual([
      4, 80, 1234,
    ]);
    expect(counted()).toEqual({ ok: 1, reset: 1 });
    expect(forwarder.traffic(0)).toMatchObject({ packets: 1, held: 1 });
    failure = new Error('send: No buffer space available');
    expect(handle(frame)).toBe(-1);
    expect(counted()).toEqual({ ok: 1, reset: 1, send_failed: 1 });
  });

  it('knows no vip that is gone, but for the flows that it has', () => {
    forwarder.setHop(0, l2);
    handle(buildFrame(request));
    forwarder.setTaking(0, false);
    expect(handle(buildFrame(request))).toBe(0);
    expect(handle(buildFrame({ ...request, src: ip('192.0.2.2') }))).toBe(-1);
    expect(counted()).toEqual({ ok: 2, not_vip: 1 });
    forwarder.setTaking(0, true);
    expect(new Set(forwarder.slots(0))).toEqual(new Set([noBackend]));
    expect(handle(buildFrame(request))).toBe(0);
    forwarder.removeVip(0);
    expect(handle(buildFrame(request))).toBe(-1);
    expect(counted()).toEqual({ ok: 3, not_vip: 2 });
  });

  it('has nothing left of a backend whose number another one gets', () => {
    forwarder.setHop(0, l2);
    const at = (flags: number, nowNs: number) => {
      const frame = buildFrame({ ...request, tcp: { srcPort: 99, dstPort: 80, flags } });
      forwarder.frame.set(frame);
      return forwarder.handle(frame.length, false, ns(nowNs));
    };
    at(0x02, 1e9);
    at(0x10, 1e9 + 70_000);
    at(0x04, 2e9);
    const before = forwarder.samples.window(0, 0);
    forwarder.setFate(0, 'reset');
    forwarder.begin(0);
    expect(forwarder.traffic(0)).toEqual({ packets: 0, bytes: 0, flows: 0, held: 0 });
    expect(forwarder.samples.histogram(0, 0).count).toBe(0);
    expect(at(0x02, 3e9)).toBe(-1);
    forwarder.setHop(0, l2);
    expect(at(0x02, 3e9)).toBe(0);
    before.update();
    expect(before.count).toBe(0);
    expect(forwarder.traffic(0)).toMatchObject({ packets: 1, held: 1 });
  });

  it('grows by backends and vips while it runs, and windows stay', () => {
    forwarder.setHop(0, l2);
    const window = forwarder.samples.window(0, 0);
    const vip = forwarder.addVip(parseEndpoint('10.0.0.2:80/tcp', 'vip'));
    for (let backend = 4; backend < 1_000; backend++) forwarder.begin(backend);
    forwarder.slots(vip).fill(999);
    forwarder.setHop(999, l2);
    const at = (dst: string, flags: number, nowNs: number) => {
      const frame = buildFrame({ ...request, dst: ip(dst), tcp: { srcPort: 99, dstPort: 80, flags } });
      forwarder.frame.set(frame);
      return forwarder.handle(frame.length, false, ns(nowNs));
    };
    expect([at('10.0.0.1', 0x02, 1e9), at('10.0.0.2', 0x02, 1e9)]).toEqual([0, 999]);
    at('10.0.0.1', 0x10, 1e9 + 5_000);
    at('10.0.0.2', 0x10, 1e9 + 7_000);
    window.update();
    expect([window.count, window.meanNs]).toEqual([1, 5_000]);
    expect(forwarder.samples.histogram(999, 0).lastNs).toBe(7_000);
    expect(forwarder.traffic(999)).toMatchObject({ packets: 2, held: 1 });
  });

  it('says which numbers are in slots', () => {
    forwarder.slots(0).fill(1)[5] = 3;
    expect(forwarder.inSlots(0, [0, 1, 3])).toEqual(new Set([1, 3]));
    expect(forwarder.inSlots(1, [0, 1, 3])).toEqual(new Set());
  });

  it('takes any bytes of any length: every frame is counted once, and none goes to a backend that there is not', () => {
    for (const backend of [0, 2, 3]) forwarder.setHop(backend, l2);
    forwarder.setHop(1, ipip);
    forwarder.slots(0).forEach((_, slot, slots) => {
      slots[slot] = slot % 2;
    });
    let frames = 0;
    const damaged = fc
      .tuple(anyFrame, fc.nat(200), fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 4 }))
      .map(([frame, cut, changes]) => {
        const bytes = buildFrame({ ...frame, link: 1 }).slice();
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        return bytes.subarray(0, Math.max(0, bytes.length - cut));
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 128 })), fc.boolean(), (bytes, isCut) => {
        frames++;
        expect([-1, 0, 1, 2]).toContain(handle(bytes, isCut));
        expect(forwarder.counts.reduce((sum, count) => sum + count, 0)).toBe(frames);
      }),
      { numRuns: 500 },
    );
  });

  it('hands on replies of vips to probes, and nothing else', () => {
    const replies: Buffer[] = [];
    const source = { address: ip('10.9.0.2'), portFirst: 61_000, portLast: 61_009 };
    forwarder.replies.listen(source, (packet) => replies.push(Buffer.from(packet)));
    const reply = (changes: Partial<Frame> = {}, srcPort = 80, dstPort = 61_005) =>
      buildFrame({ src: ip('10.0.0.1'), dst: ip('10.9.0.2'), tcp: { srcPort, dstPort }, ...changes });
    const taken = reply({ vlans: [7], payload: Uint8Array.of(1, 2), trailer: new Uint8Array(4) });
    expect(handle(taken)).toBe(-1);
    expect(replies).toEqual([Buffer.from(taken.subarray(18, -4))]);
    for (const frame of [
      reply({ src: ip('10.0.0.2') }),
      reply({ dst: ip('10.9.0.3') }),
      reply({}, 81),
      reply({}, 80, 60_999),
      reply({}, 80, 61_010),
    ]) {
      handle(frame);
    }
    expect(counted()).toEqual({ probe: 1, not_vip: 5 });
    handle(reply(), true);
    handle(reply({ payload: new Uint8Array(1_497) }));
    expect(replies).toHaveLength(1);
    handle(reply({ payload: new Uint8Array(1_496) }));
    expect(replies).toHaveLength(2);
    expect(counted()).toEqual({ probe: 4, not_vip: 5 });
  });

  it('hands on replies of IPv6 next to those of IPv4', () => {
    const seen: number[] = [];
    for (const address of [ip('10.9.0.2'), ip('2001:db8:9::2')]) {
      forwarder.replies.listen({ address, portFirst: 61_000, portLast: 61_000 }, () =>
        seen.push(address.family),
      );
    }
    const tcp = { srcPort: 80, dstPort: 61_000 };
    handle(buildFrame({ src: ip('2001:db8::1'), dst: ip('2001:db8:9::2'), tcp }));
    handle(buildFrame({ src: ip('10.0.0.1'), dst: ip('10.9.0.2'), tcp }));
    expect(seen).toEqual([6, 4]);
    expect(forwarder.replies.sources).toHaveLength(2);
  });

  it('drops what the kernel says about our probes, which a router may send back to us', () => {
    forwarder.setHop(0, l2);
    const source = { address: ip('10.9.0.2'), portFirst: 61_000, portLast: 61_009 };
    forwarder.replies.listen(source, () => {});
    const from = (srcPort: number, src = '10.9.0.2') =>
      handle(buildFrame({ ...request, src: ip(src), tcp: { srcPort, dstPort: 80, flags: 4 } }));
    expect([from(61_000), from(60_999), from(61_000, '10.9.0.3')]).toEqual([-1, 0, 0]);
    expect(counted()).toEqual({ probe: 1, ok: 2 });
  });

  it('has room for the largest frame behind that of an outer header', () => {
    expect(forwarder.frame.length).toBe(frameBytesMax);
    expect(forwarder.memory.length).toBe(headroomBytes + frameBytesMax);
    forwarder.setHop(0, { ...ipip, mtu: frameBytesMax });
    const frame = buildFrame({
      ...request,
      vlans: [1, 2, 3, 4],
      payload: new Uint8Array(frameBytesMax - 70),
    });
    expect(frame.length).toBe(frameBytesMax);
    expect(handle(frame)).toBe(0);
    expect(sent[0]!.bytes.length).toBe(frameBytesMax - 30 + 20);
  });
});
