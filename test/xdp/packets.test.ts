import { beforeEach, describe, expect, test } from 'vitest';
import { backendOf, slotHashIpv4, vipSeedIpv4 } from '../../src/maglev/hash.ts';
import { needsXdp } from '../native/support.ts';
import { buildFrame, concat, type Frame, ip } from '../support/frames.ts';
import { ingress, macOf, sourceMac, startNs, TestProgram, vip, xdp } from './support.ts';

beforeEach(needsXdp);

const client = ip('192.0.2.7');
const target = ip('10.0.0.1');
const srcMac = Uint8Array.of(2, 0, 0, 0, 0, 0xc1);
const dstMac = Uint8Array.of(2, 0, 0, 0, 0, 0xfb);
const udp = { srcPort: 4000, dstPort: 53 };
const tcp = { srcPort: 4000, dstPort: 80, flags: 16 };

const frameOf = (frame: Partial<Frame>) => buildFrame({ srcMac, dstMac, src: client, dst: target, ...frame });
const cut = (frame: Uint8Array, length: number) => frame.subarray(0, length);

/** A frame with bytes from `at` on replaced. */
function patched(frame: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  const copy = Uint8Array.from(frame);
  copy.set(bytes, at);
  return copy;
}

/** Where headers start in an untagged frame without IPv4 options. */
const at = {
  type: 12,
  ip: 14,
  ipLength: 16,
  fragment: 20,
  proto: 23,
  tcp: 34,
  udpLength: 38,
  tcpOffset: 46,
} as const;

interface Case {
  readonly description: string;
  readonly frame: Uint8Array;
  readonly verdict: number;
  readonly reason: string;
}

const toBackend = (description: string, frame: Uint8Array): Case => ({
  description,
  frame,
  verdict: xdp.tx,
  reason: 'tx',
});
const passed = (description: string, reason: string, frame: Uint8Array): Case => ({
  description,
  frame,
  verdict: xdp.pass,
  reason,
});

const cases: readonly Case[] = [
  toBackend('a TCP segment', frameOf({ tcp })),
  toBackend('a SYN', frameOf({ tcp: { ...tcp, flags: 2 } })),
  toBackend('a reset of no flow', frameOf({ tcp: { ...tcp, flags: 4 } })),
  toBackend('a UDP datagram', frameOf({ udp, payload: new Uint8Array(100) })),
  toBackend('a frame of several buffers', frameOf({ tcp, payload: new Uint8Array(8900) })),
  toBackend('a segment behind one VLAN tag', frameOf({ tcp, vlans: [7] })),
  toBackend('a segment behind four VLAN tags', frameOf({ tcp, vlans: [1, 2, 3, 4] })),
  toBackend(
    'a segment behind 40 bytes of IPv4 options',
    frameOf({ tcp, ipOptions: new Uint8Array(40).fill(1) }),
  ),
  toBackend('a segment with TCP options', frameOf({ tcp: { ...tcp, options: new Uint8Array(40).fill(1) } })),
  toBackend('a padded segment', frameOf({ tcp, trailer: new Uint8Array(6) })),
  toBackend(
    'a first fragment',
    frameOf({ udp, payload: new Uint8Array(32), fragment: { offset: 0, more: true } }),
  ),
  toBackend(
    'a first fragment of a longer datagram',
    patched(
      frameOf({ udp, payload: new Uint8Array(32), fragment: { offset: 0, more: true } }),
      at.udpLength,
      8,
      0,
    ),
  ),
  toBackend('a datagram that leaves its length to IPv4', patched(frameOf({ udp }), at.udpLength, 0, 0)),
  toBackend('a segment that leaves its length to the frame', patched(frameOf({ tcp }), at.ipLength, 0, 0)),
  passed('a segment to another port', 'not_vip', frameOf({ tcp: { ...tcp, dstPort: 81 } })),
  passed('a segment to another address', 'not_vip', frameOf({ tcp, dst: ip('10.0.0.2') })),
  passed('a datagram to the port of a TCP vip', 'not_vip', frameOf({ udp: { ...udp, dstPort: 80 } })),
  passed('ARP', 'not_ip', patched(frameOf({ tcp }), at.type, 8, 6)),
  passed('ARP behind a VLAN tag', 'not_ip', patched(frameOf({ tcp, vlans: [1] }), at.type + 4, 8, 6)),
  passed('IPv6', 'ipv6', frameOf({ tcp, src: ip('2001:db8::1'), dst: ip('2001:db8::2') })),
  passed('ICMP', 'not_tcp_or_udp', patched(frameOf({ tcp }), at.proto, 1)),
  passed('a later fragment', 'fragment', frameOf({ tcp, fragment: { offset: 1, more: true } })),
  passed('a last fragment', 'fragment', frameOf({ udp, fragment: { offset: 0x1fff, more: false } })),
  passed('a frame that ends in a VLAN tag', 'truncated', cut(frameOf({ tcp, vlans: [1] }), 16)),
  passed('a frame that ends in a second VLAN tag', 'truncated', cut(frameOf({ tcp, vlans: [1, 2] }), 21)),
  passed('five VLAN tags', 'malformed', frameOf({ tcp, vlans: [1, 2, 3, 4, 5] })),
  passed('a frame that ends in the IPv4 header', 'malformed', cut(frameOf({ tcp }), at.ip + 19)),
  passed('a frame that ends after the Ethernet header', 'malformed', cut(frameOf({ tcp }), at.ip)),
  passed('IPv4 of another version', 'malformed', patched(frameOf({ tcp }), at.ip, 0x55)),
  passed('an IPv4 header of 16 bytes', 'malformed', patched(frameOf({ tcp }), at.ip, 0x44)),
  passed('IPv4 options beyond the packet', 'malformed', patched(frameOf({ udp }), at.ip, 0x4f)),
  passed(
    'a packet that is longer than its frame',
    'malformed',
    patched(frameOf({ tcp }), at.ipLength, 0, 41),
  ),
  passed(
    'a packet that is shorter than its header',
    'malformed',
    patched(frameOf({ tcp }), at.ipLength, 0, 19),
  ),
  passed('a segment shorter than a TCP header', 'malformed', patched(frameOf({ tcp }), at.ipLength, 0, 39)),
  passed('a TCP header of 16 bytes', 'malformed', patched(frameOf({ tcp }), at.tcpOffset, 0x40)),
  passed('TCP options beyond the segment', 'malformed', patched(frameOf({ tcp }), at.tcpOffset, 0x60)),
  passed('a datagram shorter than a UDP header', 'malformed', patched(frameOf({ udp }), at.ipLength, 0, 27)),
  passed(
    'a datagram that is longer than its packet',
    'malformed',
    patched(frameOf({ udp }), at.udpLength, 0, 9),
  ),
  passed(
    'a datagram that is shorter than its header',
    'malformed',
    patched(frameOf({ udp }), at.udpLength, 0, 7),
  ),
];

/** Two vips with a backend each. */
function loaded(): TestProgram {
  const vips = [vip('10.0.0.1:80/tcp', 13, 0), vip('10.0.0.1:53/udp', 13, 1)];
  const bed = new TestProgram({ vips, backends: 2 });
  for (const index of vips.keys()) bed.program.slots(index).fill(index);
  return bed;
}

describe('each frame leaves in one way, which is counted', () => {
  for (const { description, frame, verdict, reason } of cases) {
    test(`${description}: ${reason}`, () => {
      const bed = loaded();
      const before = Uint8Array.from(frame);
      const outcome = bed.run(frame, startNs);
      expect(outcome.verdict).toBe(verdict);
      const counted = Object.entries(bed.program.counters.packets()).filter(([, count]) => count > 0);
      expect(counted).toEqual([[reason, 1]]);
      // The kernel gives back frames of several buffers cut at the first.
      const rest = before.subarray(12, outcome.frame.length);
      const macs = verdict === xdp.tx ? [macOf(outcome.backend), sourceMac] : [dstMac, srcMac];
      expect(outcome.frame).toEqual(concat(...macs, rest));
    });
  }

  test('reasons add up to all packets, and so do those of all CPUs', () => {
    const bed = loaded();
    const cpus = 2;
    for (let cpu = 0; cpu < cpus; cpu++) for (const { frame } of cases) bed.run(frame, startNs, cpu);
    const counts = Object.values(bed.program.counters.packets());
    expect(counts.reduce((sum, count) => sum + count)).toBe(cpus * cases.length);
  });
});

describe('a backend', () => {
  test('behind another interface gets its packets by redirection', () => {
    const bed = loaded();
    bed.program.setBackend(0, { mac: macOf(0), sourceMac, ifindex: ingress + 1 });
    const { verdict, frame } = bed.run(frameOf({ tcp }), startNs);
    expect(verdict).toBe(xdp.redirect);
    expect(frame.subarray(0, 12)).toEqual(concat(macOf(0), sourceMac));
    expect(bed.program.counters.packets()).toMatchObject({ tx: 0, redirect: 1 });
  });

  test('that cannot be used loses its packets and gets no new flows', () => {
    const bed = loaded();
    bed.program.setBackend(0, undefined);
    expect(bed.run(frameOf({ tcp }), startNs).verdict).toBe(xdp.drop);
    expect(bed.program.counters.packets()).toMatchObject({ no_backend: 1, tx: 0 });
    expect(bed.program.counters.flows()).toMatchObject({ created: 0, untracked: 0 });
  });

  test('that could not be used for a while keeps its flows', () => {
    const bed = loaded();
    bed.run(frameOf({ tcp }), startNs);
    bed.program.setBackend(0, undefined);
    expect(bed.run(frameOf({ tcp }), startNs).verdict).toBe(xdp.drop);
    bed.program.setBackend(0, { mac: macOf(0), sourceMac, ifindex: ingress });
    expect(bed.run(frameOf({ tcp }), startNs).verdict).toBe(xdp.tx);
    expect(bed.program.counters.flows()).toMatchObject({ created: 1 });
  });

  test('that no slot names gets nothing: packets of a vip without a table are dropped', () => {
    const bed = new TestProgram({ vips: [vip('10.0.0.1:80/tcp', 13)], backends: 1 });
    expect(bed.run(frameOf({ tcp }), startNs).verdict).toBe(xdp.drop);
    bed.program.slots(0).fill(1);
    expect(bed.run(frameOf({ tcp }), startNs).verdict).toBe(xdp.drop);
    expect(bed.program.counters.packets()).toMatchObject({ no_backend: 2 });
  });

  test('is counted its packets, its bytes from the IP header on, and its flows, on every CPU', () => {
    const bed = loaded();
    const frame = frameOf({ tcp, vlans: [3], payload: new Uint8Array(10), trailer: new Uint8Array(5) });
    for (const cpu of [0, 1, 1]) bed.run(frame, startNs, cpu);
    expect(bed.program.counters.traffic(0)).toEqual({ packets: 3, bytes: 150, flows: 1, held: 1 });
    expect(bed.program.counters.traffic(1)).toEqual({ packets: 0, bytes: 0, flows: 0, held: 0 });
  });
});

describe('a new flow', () => {
  test('goes to the backend in the slot that its hash says, with every size of a table', () => {
    const sizes = [13, 251, 65_537];
    const vips = sizes.map((slots, index) => vip(`10.0.0.1:${80 + index}/tcp`, slots, index));
    const bed = new TestProgram({ vips, backends: 1000, fleetSeed: 99 });
    for (const [index, slots] of sizes.entries()) {
      const table = bed.program.slots(index);
      expect(table).toHaveLength(slots);
      for (let slot = 0; slot < slots; slot++) table[slot] = (slot * 7) % 997;
    }
    for (let port = 1024; port < 1524; port++) {
      for (const [index, { endpoint }] of vips.entries()) {
        const seed = vipSeedIpv4(99, target.words[0], endpoint.port, 6);
        const expected = backendOf(bed.program.slots(index), slotHashIpv4(seed, client.words[0] >>> 0, port));
        const frame = frameOf({ tcp: { srcPort: port, dstPort: endpoint.port, flags: 2 } });
        expect(bed.run(frame, startNs).backend).toBe(expected);
      }
    }
  });

  test('sees a table that was written a moment ago, and the flows before it stay', () => {
    const bed = new TestProgram({ vips: [vip('10.0.0.1:80/tcp')], backends: 2 });
    bed.program.slots(0).fill(0);
    const first = frameOf({ tcp });
    expect(bed.run(first, startNs).backend).toBe(0);
    bed.program.slots(0).fill(1);
    expect(bed.run(frameOf({ tcp: { ...tcp, srcPort: 4001 } }), startNs).backend).toBe(1);
    expect(bed.run(first, startNs).backend).toBe(0);
  });
});

test('every one of many vips is found, and no other', () => {
  const vips = Array.from({ length: 300 }, (_, i) =>
    vip(`10.${i % 3}.0.${i % 100}:${1 + i}/${i % 2 ? 'tcp' : 'udp'}`, 13, i),
  );
  const bed = new TestProgram({ vips, backends: vips.length });
  for (const index of vips.keys()) bed.program.slots(index).fill(index);
  for (const [index, { endpoint }] of vips.entries()) {
    const ports = { srcPort: 5000, dstPort: endpoint.port };
    const own = endpoint.proto === 6 ? { tcp: ports } : { udp: ports };
    const other = endpoint.proto === 6 ? { udp: ports } : { tcp: ports };
    expect(bed.run(frameOf({ dst: endpoint.address, ...own }), startNs).backend).toBe(index);
    expect(bed.run(frameOf({ dst: endpoint.address, ...other }), startNs).verdict).toBe(xdp.pass);
  }
});
