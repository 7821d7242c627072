import { beforeEach, describe, expect, test } from 'vitest';
import { interfaces } from '../../src/datapath/xdp/neighbours.ts';
import { XdpProgram, type XdpProgramOptions } from '../../src/datapath/xdp/program.ts';
import { capacityFor, flowsMax, setCount, vipPlaces } from '../../src/datapath/xdp/setup.ts';
import { inbandLimit } from '../../src/generated/layout.ts';
import { ns } from '../../src/units.ts';
import { enterLab, ipJson, needsXdp, ip as runIp, thrownBy } from '../native/support.ts';
import { vip, withBackends } from './support.ts';

const options: XdpProgramOptions = {
  flows: 100,
  vips: withBackends([vip('10.0.0.1:80/tcp')], 2),
  timeoutsNs: [ns(64e3), ns(128e3)],
  epochNs: ns(64e6),
  cliff: 'smooth',
};

test('the table of vips is so large that each vip is found, however many there are', () => {
  for (const count of [1, 2, 7, 64, 1000, inbandLimit.vipsMax]) {
    const vips = Array.from({ length: count }, (_, i) => vip(`10.0.${i >> 8}.${i & 255}:80/tcp`, 13));
    const places = vipPlaces(withBackends(vips, 1), capacityFor(withBackends(vips, 1), 2).vips);
    expect(places).toBeGreaterThanOrEqual(2 * count);
    expect(Math.log2(places) % 1).toBe(0);
  }
});

describe('room for what may be configured later', () => {
  const many = (backends: number, slots = 65_537) => withBackends([vip('10.0.0.1:80/tcp', slots)], backends);
  const vips = (count: number) => Array.from({ length: count }, () => many(1)[0]!);
  const table = 16_385;

  test('is for some hundred backends, a thousand vips and some tables, however few there are at first', () => {
    expect(capacityFor(many(1), 2)).toEqual({ vips: 1024, backends: 253, slotEntries: 32 * table });
  });

  test('is as much again of what there is more of', () => {
    expect(capacityFor(many(300), 2)).toMatchObject({ backends: 600, slotEntries: 32 * table });
    expect(capacityFor(vips(40), 2)).toMatchObject({ vips: 1063, backends: 292, slotEntries: 80 * table });
    expect(capacityFor(vips(1500), 2)).toMatchObject({ vips: 3000, backends: 2524 });
  });

  test('is bounded in memory, and by what can be numbered', () => {
    expect(capacityFor(many(1), 64).backends).toBeLessThan(100);
    expect(capacityFor(many(1), 1000).backends).toBe(64);
    expect(capacityFor(many(10_000), 2).backends).toBe(11_024);
    expect(capacityFor(many(65_000), 2).backends).toBe(65_535);
    expect(capacityFor(vips(4000), 2)).toMatchObject({
      vips: inbandLimit.vipsMax,
      slotEntries: 4000 * table + (64 << 20) / 8,
    });
    expect(capacityFor(many(1, 100_000_000), 2).slotEntries).toBe(2 * 25_000_000);
  });
});

test('a table of flows has two lines for each', () => {
  expect(setCount(1) * inbandLimit.ways).toBe(8);
  expect(setCount(1_000_000) * inbandLimit.ways).toBe(2_000_000);
});

describe('options that the program cannot serve are refused', () => {
  for (const [what, change, code, message] of [
    ['no flows', { flows: 0 }, 'LIMIT', 'flows: 0 is not within 1 and 16777216'],
    ['too many flows', { flows: flowsMax + 1 }, 'LIMIT', 'flows: 16777217 is not within'],
    [
      'too many backends',
      { vips: withBackends([vip('10.0.0.1:80/tcp')], 65_536) },
      'LIMIT',
      'more than 65535 backends',
    ],
    [
      'an IPv6 vip',
      { vips: withBackends([vip('[2001:db8::1]:80/tcp')], 1) },
      'LIMIT',
      'vip [2001:db8::1]:80/tcp: the xdp datapath takes IPv4',
    ],
    [
      'a vip twice',
      { vips: withBackends([vip('10.0.0.1:80/tcp'), vip('10.0.0.1:80/tcp')], 1) },
      'CONFIG_INVALID',
      'vip 10.0.0.1:80/tcp is there twice',
    ],
    [
      'one timeout',
      { timeoutsNs: [ns(64e3)] },
      'USAGE',
      "timeouts: '64us' is not 2 to 7 increasing durations",
    ],
    ['timeouts that fall', { timeoutsNs: [ns(2), ns(1)] }, 'USAGE', 'is not 2 to 7 increasing'],
  ] as const) {
    test(what, () => {
      const error = thrownBy(() => XdpProgram.load({ ...options, ...change }));
      expect(error).toMatchObject({ name: 'InbandError', code });
      expect(error.message).toContain(message);
    });
  }
});

describe('a loaded program', () => {
  beforeEach(needsXdp);

  test('attaches in native mode to a veth, and leaves when it is closed', () => {
    enterLab();
    const target = interfaces().find(({ name }) => name === 'lb0')!;
    const program = XdpProgram.load(options);
    expect(program.attach(target)).toEqual({ mode: 'native', reason: '' });
    const isAttached = () => ipJson('link', 'show', 'dev', 'lb0')[0].xdp !== undefined;
    expect(isAttached()).toBe(true);
    program.close();
    expect(isAttached()).toBe(false);
  });

  test('attaches with jumbo frames', () => {
    const { peer } = enterLab();
    runIp('link', 'set', 'lb0', 'mtu', '9000');
    runIp('-n', peer, 'link', 'set', 'peer0', 'mtu', '9000');
    const program = XdpProgram.load(options);
    expect(program.attach(interfaces().find(({ name }) => name === 'lb0')!).mode).toBe('native');
    program.close();
  });

  test('says why when it has to attach in generic mode', () => {
    enterLab();
    const target = interfaces().find(({ name }) => name === 'lo')!;
    const program = XdpProgram.load(options);
    const { mode, reason } = program.attach(target);
    expect(mode).toBe('generic');
    expect(reason).toMatch(/no native XDP/);
    program.close();
  });

  test('leaves nothing to read when it is closed', () => {
    const program = XdpProgram.load(options);
    const slots = program.slots(0);
    expect(slots).toHaveLength(65_537);
    program.close();
    expect(slots).toHaveLength(0);
  });
});
