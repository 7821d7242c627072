import { beforeEach, describe, expect, it } from 'vitest';
import { HopTable } from '../../src/datapath/capture/hops.ts';
import { ProbeSender } from '../../src/datapath/capture/probe-sender.ts';
import { buildFrame, ip } from '../support/frames.ts';

const mac = Uint8Array.of(2, 0, 0, 0, 0, 7);
const sourceMac = Uint8Array.of(2, 0, 0, 0, 0, 1);
const tcp = { srcPort: 61_000, dstPort: 80, flags: 2 };
const probe = buildFrame({ link: 101, src: ip('10.9.0.2'), dst: ip('10.0.0.1'), tcp });

let sent: { bytes: Buffer; to: string }[];
let failure: Error | undefined;
let sender: ProbeSender;

beforeEach(() => {
  sent = [];
  failure = undefined;
  const hops = new HopTable();
  for (const backend of [0, 1, 2]) hops.begin(backend);
  hops.set(0, { encapsulation: 'l2', mac, sourceMac });
  hops.set(1, {
    encapsulation: 'ipip',
    source: ip('10.9.0.2').words[0],
    destination: ip('203.0.113.7').words[0],
    destinationText: '203.0.113.7',
    mtu: 100,
  });
  const send = (bytes: Buffer, to: string) => {
    if (failure) throw failure;
    sent.push({ bytes: Buffer.from(bytes), to });
  };
  sender = new ProbeSender(hops, {
    sendFrame: (frame, length) => send(frame.subarray(0, length), ''),
    sendPacket: (memory, at, length, to) => send(memory.subarray(at, at + length), to),
  });
});

describe('a probe', () => {
  it('goes to a backend in its segment in a frame', () => {
    expect(sender.send(0, probe, 1500)).toBe(true);
    expect(sent).toEqual([{ bytes: Buffer.concat([mac, sourceMac, Uint8Array.of(8, 0), probe]), to: '' }]);
  });

  it('of IPv6 goes in a frame of IPv6', () => {
    const packet = buildFrame({ link: 101, src: ip('2001:db8:9::2'), dst: ip('2001:db8::1'), tcp });
    expect(sender.send(0, packet, 1500)).toBe(true);
    expect([...sent[0]!.bytes.subarray(12, 14)]).toEqual([0x86, 0xdd]);
  });

  it('goes to another one in a packet', () => {
    expect(sender.send(1, probe, 1500)).toBe(true);
    const [{ bytes, to }] = sent as [{ bytes: Buffer; to: string }];
    expect(to).toBe('203.0.113.7');
    expect(Buffer.compare(bytes.subarray(20), probe)).toBe(0);
    expect([...bytes.subarray(12, 20)]).toEqual([10, 9, 0, 2, 203, 0, 113, 7]);
  });

  it('is not sent where there is no way, to no backend, or beyond the MTU', () => {
    expect(sender.send(2, probe, 1500)).toBe(false);
    expect(sender.send(9, probe, 1500)).toBe(false);
    expect(sender.send(0, probe, probe.length - 1)).toBe(false);
    expect(sender.send(0, new Uint8Array(1501), 9000)).toBe(false);
    const long = new Uint8Array(81).fill(0x45);
    expect(sender.send(1, long, 1500)).toBe(false);
    expect(sender.send(1, long.subarray(1), 1500)).toBe(true);
    expect(sent).toHaveLength(1);
  });

  it('that the kernel refuses is one that could not be sent', () => {
    failure = new Error('send: Network is down');
    expect([0, 1].map((backend) => sender.send(backend, probe, 1500))).toEqual([false, false]);
  });
});
