import { describe, expect, test } from 'vitest';
import { backendChecks, vipChecks } from '../../src/doctor/addresses.ts';
import { addressOf, backend, vip } from './healthy.ts';

const arp = (changes: Parameters<typeof vip>[0], interfaceName: string | undefined = 'eth0') =>
  vipChecks(vip(changes), interfaceName)[0]!;

describe('checks of a vip', () => {
  test.each([
    [['eth0'], 0, 'ok'],
    [['lo'], 0, 'ok'],
    [['eth0'], 1, 'ok'],
    [['lo'], 1, 'warning'],
    [['eth0'], 2, 'warning'],
    [['eth0'], 8, 'warning'],
    [[], 0, 'warning'],
  ])('on %j with arp_ignore %i, ARP is %s', (heldBy, arpIgnore, state) => {
    expect(arp({ heldBy, arpIgnore }).state).toBe(state);
  });

  test('that is not here is to be added', () => {
    expect(arp({ heldBy: [] })).toMatchObject({
      found: 'not answered here',
      fix: 'ip address add 10.0.0.100/32 dev eth0',
    });
  });

  test('a server that answers is to be set up as a backend', () => {
    const found = arp({ heldBy: [], answeredBy: '02:00:00:00:00:11' });
    expect(found).toMatchObject({
      state: 'warning',
      found: 'answered by another machine, 02:00:00:00:00:11',
      fix: 'inband backend-setup --vip 10.0.0.100:80/tcp --apply',
    });
  });

  test('of IPv6 is not served', () => {
    expect(vipChecks(vip({}, '[2001:db8::1]:80/tcp'), 'eth0')).toMatchObject([
      { name: 'family', state: 'failed' },
    ]);
  });
});

describe('checks of a backend', () => {
  const checks = (changes: Parameters<typeof backend>[0], interfaceName: string | undefined = 'eth0') =>
    backendChecks(backend(changes), interfaceName);

  test('that answers in the same segment are ok', () => {
    expect(checks({})).toMatchObject([
      { name: 'route', state: 'ok', found: 'on the segment of eth0' },
      { name: 'neighbour', state: 'ok', found: '02:00:00:00:00:11 (reachable)' },
    ]);
  });

  test('behind another interface say that frames are redirected', () => {
    expect(checks({}, 'eth1')[0]).toMatchObject({ state: 'ok', found: expect.stringMatching(/redirected/) });
    expect(checks({}, undefined)[0]!.found).not.toMatch(/redirected/);
  });

  test.each([
    ['without a route', undefined, 'ip route add 10.0.0.11/32 dev eth1'],
    [
      'behind a gateway',
      { interface: 'eth0', gateway: '10.0.0.1', unicast: true },
      'ip route add 10.0.0.11/32 dev eth1',
    ],
    ['on this machine', { interface: 'lo', gateway: undefined, unicast: false }, undefined],
  ])('%s end at the route', (_, route, fix) => {
    const [found, ...rest] = checks({ route }, 'eth1');
    expect(found).toMatchObject({ name: 'route', state: 'failed' });
    expect(found!.fix).toBe(fix);
    expect(rest).toEqual([]);
  });

  test('that does not answer are failed, that could not be asked unknown', () => {
    const silent = { neighbour: { state: 'incomplete', mac: undefined } } as const;
    expect(checks(silent)[1]).toMatchObject({ state: 'failed', fix: 'ping -c 3 10.0.0.11' });
    expect(checks({ ...silent, asked: false })[1]).toMatchObject({ state: 'unknown' });
    expect(checks({ neighbour: undefined, asked: false })[1]).toMatchObject({ state: 'unknown' });
    expect(checks({ asked: false })[1]).toMatchObject({ state: 'ok' });
  });

  test('of IPv6 is not served', () => {
    expect(checks({ address: addressOf('2001:db8::11') })).toMatchObject([
      { name: 'family', state: 'failed' },
    ]);
  });
});
