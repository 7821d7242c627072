import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PrefixLimit, prefixWindowNs, samplesPerPrefixMax } from '../../src/latency/prefix.ts';
import { Packet } from '../../src/net/packet.ts';
import { ns } from '../../src/units.ts';
import { ip } from '../support/frames.ts';

function from(text: string): Packet {
  const { family, words } = ip(text);
  const [src0, src1, src2, src3] = words;
  return Object.assign(new Packet(), { family, src0, src1, src2, src3 });
}

/** How many of `asked` samples of a client are admitted. */
function admitted(
  limit: PrefixLimit,
  client: string,
  asked: number,
  { backend = 0, kind = 0, now = 0 } = {},
) {
  const packet = from(client);
  let count = 0;
  for (let i = 0; i < asked; i++) if (limit.admits(packet, backend, kind, ns(now))) count++;
  return count;
}

describe('the budget of a prefix', () => {
  it('is the limit in each window, and full again in the next', () => {
    const limit = new PrefixLimit(64, 1);
    expect(admitted(limit, '192.0.2.1', 100)).toBe(64);
    expect(admitted(limit, '192.0.2.1', 100, { now: prefixWindowNs - 1 })).toBe(0);
    expect(admitted(limit, '192.0.2.1', 100, { now: prefixWindowNs })).toBe(64);
  });

  it('is shared by all addresses of an IPv4 /24, and of an IPv6 /56', () => {
    const limit = new PrefixLimit(10, 1);
    expect(admitted(limit, '192.0.2.1', 7)).toBe(7);
    expect(admitted(limit, '192.0.2.255', 7)).toBe(3);
    expect(admitted(limit, '192.0.3.1', 7)).toBe(7);
    expect(admitted(limit, '2001:db8:0:1200::1', 7)).toBe(7);
    expect(admitted(limit, '2001:db8:0:12ff:ffff::9', 7)).toBe(3);
    expect(admitted(limit, '2001:db8:0:1300::1', 7)).toBe(7);
  });

  it('is another for each backend and kind', () => {
    const limit = new PrefixLimit(5, 1);
    for (const backend of [0, 1, 2]) {
      for (const kind of [0, 1]) expect(admitted(limit, '192.0.2.1', 9, { backend, kind })).toBe(5);
    }
  });

  it('of an IPv4 prefix is not that of an IPv6 one with the same bits', () => {
    const limit = new PrefixLimit(5, 1);
    expect(admitted(limit, '0.0.1.0', 9)).toBe(5);
    expect(admitted(limit, '::1:0:0', 9)).toBe(5);
    expect(admitted(limit, '0:1::', 9)).toBe(5);
  });

  it('of up to 255 samples fits its count', () => {
    expect(admitted(new PrefixLimit(samplesPerPrefixMax, 1), '192.0.2.1', 1000)).toBe(255);
    expect(admitted(new PrefixLimit(1, 1), '192.0.2.1', 1000)).toBe(1);
  });

  it('is without end at a limit of 0', () => {
    expect(admitted(new PrefixLimit(0, 1), '192.0.2.1', 1000)).toBe(1000);
  });
});

it('times before 0, and after the count of windows has turned, have windows too', () => {
  const limit = new PrefixLimit(3, 1);
  for (const now of [-1, 0, 2 ** 24 * prefixWindowNs - 1, 2 ** 24 * prefixWindowNs + prefixWindowNs]) {
    expect(admitted(limit, '192.0.2.1', 9, { now })).toBe(3);
  }
});

it('of a thousand prefixes few share a budget, and which ones depends on the seed', () => {
  const sharing = (seed: number) => {
    const limit = new PrefixLimit(1, seed);
    const all = Array.from({ length: 1000 }, (_, i) => `10.${i >> 8}.${i & 255}.1`);
    return all.filter((client) => admitted(limit, client, 1) === 0).join();
  };
  const refused = sharing(1).split(',').length;
  // Of 1000 in 4096 places, 112 are expected to come to one that is taken; the standard deviation is 9.
  expect(refused).toBeGreaterThan(60);
  expect(refused).toBeLessThan(165);
  expect(sharing(1)).toBe(sharing(1));
  expect(sharing(2)).not.toBe(sharing(1));
});

it('limits that do not fit are refused by name', () => {
  for (const limit of [-1, 256, 1.5, Number.NaN]) {
    expect(() => new PrefixLimit(limit, 1)).toThrow(/samples per prefix: .* is not 0 to 255/);
  }
});

it('no prefix ever exceeds its limit in a window, however its samples mix with others', () => {
  const ask = fc.record({ client: fc.nat(5), backend: fc.nat(1), after: fc.constantFrom(0, 0, 1e6, 9e6) });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(ask, { maxLength: 300, size: 'max' }),
      (most, asks) => {
        const limit = new PrefixLimit(most, 7);
        const counts = new Map<string, number>();
        let now = 0;
        for (const { client, backend, after } of asks) {
          now += after;
          if (!limit.admits(from(`10.0.${client}.9`), backend, 0, ns(now))) continue;
          const key = `${client} ${backend} ${Math.floor(now / prefixWindowNs)}`;
          counts.set(key, (counts.get(key) ?? 0) + 1);
        }
        for (const count of counts.values()) expect(count).toBeLessThanOrEqual(most);
      },
    ),
  );
});
