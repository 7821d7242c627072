import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerArp, arpFrameBytes, askedAddress, isArpRequest } from '../../src/datapath/capture/arp.ts';
import { HopTable, hopIpip, hopL2, hopNone } from '../../src/datapath/capture/hops.ts';
import { SampleMemory } from '../../src/datapath/capture/memory.ts';
import { checksumAdd, checksumFinish } from '../../src/net/checksum.ts';
import { ipipHeaderBytes, writeIpipHeader } from '../../src/net/ipip.ts';
import { buildFrame, concat, ip } from '../support/frames.ts';

const own = Uint8Array.of(2, 0, 0, 0, 0, 1);
const client = Uint8Array.of(2, 0, 0, 0, 0, 9);

describe('ARP', () => {
  const request = Uint8Array.of(
    ...[255, 255, 255, 255, 255, 255, ...client, 8, 6],
    ...[0, 1, 8, 0, 6, 4, 0, 1, ...client, 10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1],
  );

  it('is asked for an address', () => {
    expect(isArpRequest(request, arpFrameBytes)).toBe(true);
    expect(askedAddress(request)).toBe(0x0a000001);
  });

  it('is answered to who asked, with the address asked for', () => {
    const frame = Buffer.from(request);
    answerArp(frame, own);
    expect([...frame]).toEqual([
      ...[...client, ...own, 8, 6],
      ...[0, 1, 8, 0, 6, 4, 0, 2, ...own, 10, 0, 0, 1, ...client, 10, 0, 0, 9],
    ]);
    expect(isArpRequest(frame, arpFrameBytes)).toBe(false);
  });

  it('that is cut short or of another kind is no request', () => {
    expect(isArpRequest(request, arpFrameBytes - 1)).toBe(false);
    for (const at of [12, 13, 14, 15, 16, 18, 19, 20, 21]) {
      const other = request.slice();
      other[at]! ^= 1;
      expect(isArpRequest(other, arpFrameBytes)).toBe(false);
    }
  });
});

describe('the outer header of IP-in-IP', () => {
  const inner = buildFrame({
    link: 101,
    src: ip('192.0.2.1'),
    dst: ip('10.0.0.1'),
    tcp: { srcPort: 1234, dstPort: 80 },
    payload: Uint8Array.of(1, 2, 3),
  });
  const wrapped = (packet: Uint8Array) => {
    const data = concat(new Uint8Array(ipipHeaderBytes), packet);
    writeIpipHeader(data, 0, packet.length, ip('10.9.0.2').words[0], ip('203.0.113.7').words[0]);
    return data;
  };

  it('is right byte by byte', () => {
    inner[1] = 0xb8;
    inner.set([0x12, 0x34, 0x40], 4);
    const header = [0x45, 0xb8, 0, 63, 0x12, 0x34, 0x40, 0, 64, 4, 0, 0, 10, 9, 0, 2, 203, 0, 113, 7];
    const checksum = checksumFinish(checksumAdd(0, Uint8Array.from(header)));
    header.splice(10, 2, checksum >> 8, checksum & 255);
    expect([...wrapped(inner).subarray(0, ipipHeaderBytes)]).toEqual(header);
  });

  it('sums to 0 and leaves the packet inside as it is, whatever that holds', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 1480 }), (packet) => {
        const data = wrapped(packet);
        expect(checksumFinish(checksumAdd(0, data, 0, ipipHeaderBytes))).toBe(0);
        expect(Buffer.compare(data.subarray(ipipHeaderBytes), packet)).toBe(0);
      }),
    );
  });
});

function aTable(backends: number): HopTable {
  const hops = new HopTable();
  for (let backend = 0; backend < backends; backend++) hops.begin(backend);
  return hops;
}

function aMemory(backends: number, kinds: number): SampleMemory {
  const memory = new SampleMemory(kinds);
  for (let backend = 0; backend < backends; backend++) memory.begin(backend);
  return memory;
}

describe('next hops', () => {
  it('are none until they are set, and after they are taken away', () => {
    const hops = aTable(2);
    expect([...hops.how]).toEqual([hopNone, hopNone]);
    hops.set(1, { encapsulation: 'l2', mac: client, sourceMac: own });
    expect([...hops.how]).toEqual([hopNone, hopL2]);
    hops.set(1, undefined);
    expect([...hops.how]).toEqual([hopNone, hopNone]);
  });

  it('address a frame to their backend', () => {
    const hops = aTable(2);
    hops.set(1, { encapsulation: 'l2', mac: client, sourceMac: own });
    const frame = new Uint8Array(14).fill(255);
    hops.writeMacs(frame, 1);
    expect([...frame]).toEqual([...client, ...own, 255, 255]);
  });

  it('can become routed ones', () => {
    const hops = aTable(1);
    hops.set(0, { encapsulation: 'l2', mac: client, sourceMac: own });
    const routed = { source: 1, destination: 2, destinationText: '0.0.0.2', mtu: 1500 };
    hops.set(0, { encapsulation: 'ipip', ...routed });
    expect([
      hops.how[0],
      hops.sources[0],
      hops.destinations[0],
      hops.destinationTexts[0],
      hops.mtus[0],
    ]).toEqual([...[hopIpip, 1, 2, '0.0.0.2', 1500]]);
  });
});

describe('the memory of samples', () => {
  it('keeps backends and kinds apart', () => {
    const memory = aMemory(2, 2);
    const windows = [0, 1].flatMap((backend) => [0, 1].map((kind) => memory.window(backend, kind)));
    memory.record(1, 0, 5_000, 1e9);
    for (const window of windows) window.update();
    expect(windows.map(({ count }) => count)).toEqual([0, 0, 1, 0]);
    expect(windows[2]!.meanNs).toBe(5_000);
  });

  it('sums and counts as numbers do, beyond 32 bits', () => {
    const latency = fc.oneof(fc.integer({ min: 0, max: 5e9 }), fc.integer({ min: 0, max: 2 ** 39 - 1 }));
    fc.assert(
      fc.property(fc.array(latency, { minLength: 1, maxLength: 200 }), (latencies) => {
        const memory = aMemory(1, 1);
        const window = memory.window(0, 0);
        for (const [i, latencyNs] of latencies.entries()) memory.record(0, 0, latencyNs, 1e12 + i);
        window.update();
        const sum = latencies.reduce((total, one) => total + one, 0);
        expect(window.count).toBe(latencies.length);
        expect(window.meanNs).toBe(sum / latencies.length);
        expect(window.lastNs).toBe(latencies.at(-1));
      }),
    );
  });

  it('drops and counts what no bin has room for', () => {
    const memory = aMemory(1, 1);
    const window = memory.window(0, 0);
    expect(memory.record(0, 0, 2 ** 39, 1e12)).toBe(false);
    expect(memory.record(0, 0, 2 ** 39 - 1, 1e12)).toBe(true);
    window.update();
    expect([window.count, memory.dropped]).toEqual([1, 1]);
  });
});
