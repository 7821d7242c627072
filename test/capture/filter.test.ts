import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { captureFilter, type FilterOptions, filterProgram } from '../../src/datapath/capture/filter.ts';
import { buildFrame, concat, type Frame, ip } from '../support/frames.ts';

const own = Uint8Array.of(2, 0x77, 0, 0, 0, 1);
const other = Uint8Array.of(2, 0x77, 0, 0, 0, 2);
const probes = ['10.9.0.2', '2001:db8:9::2'].map((text) => ({
  address: ip(text),
  portFirst: 61_000,
  portLast: 61_099,
}));

/** Runs a classic BPF program as the kernel does: how many bytes it keeps. A load beyond the frame keeps none. */
function run(program: Uint8Array, frame: Uint8Array): number {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const data = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let a = 0;
  let x = 0;
  for (let at = 0; ; at += 8) {
    const k = code.getUint32(at + 4, true);
    const jump = (isHeld: boolean) => {
      at += 8 * code.getUint8(isHeld ? at + 2 : at + 3);
    };
    const load = (size: 1 | 2 | 4, from: number) => {
      if (from + size > frame.length) return false;
      a = size === 4 ? data.getUint32(from) : size === 2 ? data.getUint16(from) : data.getUint8(from);
      return true;
    };
    switch (code.getUint16(at, true)) {
      case 0x20:
        if (!load(4, k)) return 0;
        break;
      case 0x28:
        if (!load(2, k)) return 0;
        break;
      case 0x30:
        if (!load(1, k)) return 0;
        break;
      case 0x48:
        if (!load(2, x + k)) return 0;
        break;
      case 0xb1:
        if (k >= frame.length) return 0;
        x = 4 * (data.getUint8(k) & 15);
        break;
      case 0x05:
        at += 8 * k;
        break;
      case 0x15:
        jump(a === k);
        break;
      case 0x25:
        jump(a > k);
        break;
      case 0x35:
        jump(a >= k);
        break;
      case 0x45:
        jump((a & k) !== 0);
        break;
      case 0x06:
        return k;
      default:
        throw new Error(`instruction ${code.getUint16(at, true)}`);
    }
  }
}

function aFilter(addresses: readonly string[], options: Partial<FilterOptions> = {}) {
  const program = filterProgram({
    ...{ mac: own, addresses: addresses.map(ip), answerArp: false, probes: [], ...options },
  });
  return { program, takes: (frame: Uint8Array) => run(program, frame) === 65_535 };
}

const to = (dst: string, frame: Partial<Frame> = {}): Uint8Array =>
  buildFrame({
    ...(!frame.udp && { tcp: { srcPort: 1234, dstPort: 80 } }),
    dstMac: own,
    srcMac: other,
    src: ip(dst.includes(':') ? '2001:db8::9' : '192.0.2.1'),
    dst: ip(dst),
    ...frame,
  });

/** A request for the link address of 10.0.0.`last`. */
const arp = (last: number, operation = 1): Uint8Array =>
  concat(
    Uint8Array.of(255, 255, 255, 255, 255, 255, ...other, 8, 6),
    Uint8Array.of(0, 1, 8, 0, 6, 4, 0, operation, ...other, 10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 10, 0, 0, last),
  );

describe('the filter', () => {
  it('takes packets to addresses of vips, whatever they carry', () => {
    const { takes } = aFilter(['10.0.0.1', '2001:db8::1', '10.0.0.2', '2001:db8::2']);
    for (const dst of ['10.0.0.1', '10.0.0.2', '2001:db8::1', '2001:db8::2']) {
      expect(takes(to(dst))).toBe(true);
      expect(takes(to(dst, { udp: { srcPort: 1, dstPort: 2 } }))).toBe(true);
    }
    for (const dst of ['10.0.0.3', '10.0.1.1', '2001:db8::3', '2001:db9::1', '2001:db8:0:1::1', 'a00:1::']) {
      expect(takes(to(dst))).toBe(false);
    }
  });

  it('takes nothing for other interfaces', () => {
    const { takes } = aFilter(['10.0.0.1'], { probes });
    for (let i = 0; i < 6; i++) {
      const dstMac = own.slice();
      dstMac[i]! ^= 1;
      expect(takes(to('10.0.0.1', { dstMac }))).toBe(false);
    }
    expect(takes(to('10.0.0.1'))).toBe(true);
  });

  it('takes requests for vips where they are to be answered, and no replies', () => {
    const { takes } = aFilter(['10.0.0.1', '10.0.0.2'], { answerArp: true });
    expect([1, 2, 3].map((last) => takes(arp(last)))).toEqual([true, true, false]);
    expect(takes(arp(1, 2))).toBe(false);
    expect(takes(to('10.0.0.2'))).toBe(true);
    expect(aFilter(['10.0.0.1']).takes(arp(1))).toBe(false);
  });

  it('takes replies to probes, and nothing else for the load balancer', () => {
    const { takes } = aFilter(['10.0.0.1', '2001:db8::1'], { probes });
    const reply = (dst: string, dstPort: number, frame: Partial<Frame> = {}) =>
      takes(to(dst, { tcp: { srcPort: 80, dstPort }, ...frame }));
    for (const dst of ['10.9.0.2', '2001:db8:9::2']) {
      expect([60_999, 61_000, 61_099, 61_100, 22].map((port) => reply(dst, port))).toEqual([
        ...[false, true, true, false, false],
      ]);
      expect(takes(to(dst, { udp: { srcPort: 53, dstPort: 61_000 } }))).toBe(true);
    }
    expect(reply('10.9.0.2', 61_000, { ipOptions: new Uint8Array(8).fill(1) })).toBe(true);
    expect(reply('10.9.0.2', 61_000, { fragment: { offset: 8, more: false } })).toBe(false);
    expect(reply('10.9.0.3', 61_000)).toBe(false);
    // ICMP, whose bytes are no ports.
    const icmp = to('10.9.0.2', { tcp: { srcPort: 80, dstPort: 61_000 } });
    icmp[14 + 9] = 1;
    expect(takes(icmp)).toBe(false);
  });

  it('takes nothing while there is no vip', () => {
    const { takes } = aFilter([]);
    for (const frame of [to('10.0.0.1'), to('2001:db8::1'), arp(1), new Uint8Array(60)])
      expect(takes(frame)).toBe(false);
  });

  it('names an address once, however many vips have it', () => {
    expect(aFilter(['10.0.0.1', '10.0.0.1']).program).toEqual(aFilter(['10.0.0.1']).program);
  });

  it('takes all IP packets for the interface when it would become too long', () => {
    const many = Array.from({ length: 600 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
    const { takes, program } = aFilter(many, { answerArp: true });
    expect(program.length).toBeLessThan(8 * 40);
    expect([to('10.1.0.3'), to('10.0.0.1'), to('2001:db8::1'), arp(1)].map(takes)).toEqual(
      Array(4).fill(true),
    );
    expect([to('10.0.0.1', { dstMac: other }), arp(1, 2)].map(takes)).toEqual([false, false]);
    const fewer = aFilter(many.slice(0, 200), { answerArp: true });
    expect([to('10.1.0.199'), to('10.1.0.200')].map(fewer.takes)).toEqual([true, false]);
  });

  it('of any vips takes what is to them, and of any bytes is a verdict', () => {
    const address = fc.oneof(
      fc.nat(9).map((last) => `10.0.0.${last}`),
      fc.nat(9).map((last) => `2001:db8::${last}`),
    );
    fc.assert(
      fc.property(
        fc.array(address, { maxLength: 8 }),
        address,
        fc.boolean(),
        fc.uint8Array({ maxLength: 100 }),
        (addresses, dst, answerArp, bytes) => {
          const { takes, program } = aFilter(addresses, { answerArp, probes });
          expect(takes(to(dst))).toBe(addresses.includes(dst));
          expect(takes(to(dst, { vlans: [7] }))).toBe(false);
          expect([0, 65_535]).toContain(run(program, bytes));
        },
      ),
    );
  });
});

describe('the filter that a capture is opened with', () => {
  it('takes all that is for the interface, whatever the vips become', () => {
    expect(captureFilter(own, false)).toBe('ether dst 02:77:00:00:00:01');
    expect(captureFilter(own, true)).toBe('ether dst 02:77:00:00:00:01 or arp[6:2] = 1');
  });
});
