import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Forwarder, frameBytesMax, headroomBytes, reasons } from '../../src/datapath/capture/forwarder.ts';
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
