import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CheckPorts, portCount, portFirst, portLast, portTriesMax } from '../../src/health/ports.ts';
import { intervalNsMin, jitterMax } from '../../src/health/settings.ts';

describe('ports of checks', () => {
  test('are above those of sockets, and within 16 bits', () => {
    expect(portFirst).toBeGreaterThan(60_999);
    expect(portLast).toBeLessThanOrEqual(65_535);
  });

  test('are given in order, around the range', () => {
    const ports = new CheckPorts<string>();
    expect(ports.claim(portCount - 1, 'a')).toEqual({ port: portLast, next: 0 });
    expect(ports.claim(0, 'b')).toEqual({ port: portFirst, next: 1 });
    expect([ports.ownerOf(portLast), ports.ownerOf(portFirst)]).toEqual(['a', 'b']);
  });

  test('are of one check at a time', () => {
    const ports = new CheckPorts<string>();
    for (let i = 0; i < portTriesMax; i++) expect(ports.claim(7, 'a')?.port).toBe(portFirst + 7 + i);
    expect(ports.claim(7, 'b')).toBeUndefined();
    ports.release(portFirst + 8);
    expect(ports.claim(7, 'b')).toEqual({ port: portFirst + 8, next: 9 });
    expect(ports.held).toBe(portTriesMax);
  });

  test("a port that nobody has is nobody's, in the range and out of it", () => {
    const ports = new CheckPorts<string>();
    for (const port of [0, 80, portFirst - 1, portFirst, portLast + 1]) {
      expect(ports.ownerOf(port)).toBeUndefined();
      ports.release(port);
    }
    expect(ports.held).toBe(0);
  });

  test('a backend sees a port again after 60 s at the soonest', () => {
    const checksIn60s = 60e9 / (intervalNsMin * (1 - jitterMax));
    expect(portCount / portTriesMax).toBeGreaterThan(checksIn60s);
    fc.assert(
      fc.property(fc.nat(portCount - 1), fc.array(fc.boolean()), (begin, busy) => {
        const ports = new CheckPorts<number>();
        const seen = new Map<number, number>();
        let cursor = begin;
        for (let check = 0; check < 3 * portCount; check++) {
          // Others come and go on the ports ahead.
          const other = busy[check % (busy.length || 1)] ? ports.claim(cursor, -1) : undefined;
          const claim = ports.claim(cursor, check)!;
          cursor = claim.next;
          const before = seen.get(claim.port);
          if (before !== undefined) expect(check - before).toBeGreaterThan(checksIn60s);
          seen.set(claim.port, check);
          ports.release(claim.port);
          if (other) ports.release(other.port);
        }
      }),
      { numRuns: 20 },
    );
  });
});
