import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ConnectionEnd, ConnectionRecord } from '../../src/lab/load.ts';
import { accountOf, brokenLine, excuseOf } from './account.ts';

const patience = 100;
const crash = { server: 's1', fromNs: 1_000, toNs: 2_000, cause: 'its server was killed' };

const connection = (change: Partial<ConnectionRecord>): ConnectionRecord => ({
  ...{ end: 'reset', server: 's1', port: 40_000, startedNs: 500, endedNs: 1_500, answered: 10, lost: 1 },
  ...change,
});

describe('a broken connection', () => {
  test('is excused when it broke while something was done to its server', () => {
    expect(excuseOf(connection({}), [crash], patience)).toBe('its server was killed');
  });

  test('is excused for as long as a client waits after that', () => {
    expect(excuseOf(connection({ endedNs: 2_100 }), [crash], patience)).toBeDefined();
    expect(excuseOf(connection({ endedNs: 2_101 }), [crash], patience)).toBeUndefined();
  });

  test('is not excused when it broke before', () => {
    expect(excuseOf(connection({ endedNs: 999 }), [crash], patience)).toBeUndefined();
  });

  test("is not excused by what was done to others' servers", () => {
    expect(excuseOf(connection({ server: 's2' }), [crash], patience)).toBeUndefined();
  });

  test('is excused without knowing its server, but only in that time', () => {
    const unknown = connection({ server: '', end: 'connect_failed', answered: 0, lost: 0 });
    expect(excuseOf(unknown, [crash], patience)).toBeDefined();
    expect(excuseOf({ ...unknown, endedNs: 900 }, [crash], patience)).toBeUndefined();
    expect(excuseOf({ ...unknown, startedNs: 2_200, endedNs: 2_300 }, [crash], patience)).toBeUndefined();
  });

  test('is not excused when it began after no new ones should come to its server', () => {
    const removal = { ...crash, begunByNs: 1_100 };
    expect(excuseOf(connection({ startedNs: 1_100 }), [removal], patience)).toBeDefined();
    expect(excuseOf(connection({ startedNs: 1_101 }), [removal], patience)).toBeUndefined();
  });

  test('is excused to the end by what is not over', () => {
    const dead = { ...crash, toNs: Number.POSITIVE_INFINITY };
    expect(excuseOf(connection({ endedNs: 9e15 }), [dead], patience)).toBeDefined();
  });

  test('is told about in one line', () => {
    const broken = { connection: connection({ startedNs: 1e9, endedNs: 3.5e9 }), cause: undefined };
    expect(brokenLine(broken, 1e9)).toBe(
      'port 40000 to s1: reset at 2.500 s, begun at 0.000 s, 10 answered, 1 lost: NO CAUSE',
    );
  });
});

describe('the account', () => {
  test('tells whole connections from broken ones, and those with a cause from those without', () => {
    const account = accountOf(
      [
        connection({ end: 'completed', lost: 0 }),
        connection({ end: 'kept', server: 's2', lost: 0 }),
        connection({}),
        connection({ server: 's2', lost: 3 }),
      ],
      [crash],
      patience,
    );
    expect(account).toMatchObject({ opened: 4, completed: 1, kept: 1, answered: 40, requestsLost: 4 });
    expect(account.whole).toEqual({ s1: 1, s2: 1 });
    expect(account.excused.map((broken) => broken.connection.server)).toEqual(['s1']);
    expect(account.unexcused.map((broken) => broken.connection.server)).toEqual(['s2']);
  });

  test('has every connection exactly once', () => {
    const ends: ConnectionEnd[] = [
      ...(['completed', 'kept', 'connect_failed', 'reset', 'timed_out', 'wrong_reply'] as const),
    ];
    const any = fc.record({
      end: fc.constantFrom(...ends),
      server: fc.constantFrom('', 's1', 's2'),
      port: fc.nat(65_535),
      startedNs: fc.nat(3_000),
      endedNs: fc.nat(3_000),
      answered: fc.nat(9),
      lost: fc.nat(9),
    });
    fc.assert(
      fc.property(fc.array(any), (connections) => {
        const { completed, kept, excused, unexcused } = accountOf(connections, [crash], patience);
        expect(completed + kept + excused.length + unexcused.length).toBe(connections.length);
      }),
    );
  });
});
