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
    const places = vipPlaces(withBackends(vips, 1), capacityFor(withBackends(vips, 1)).vips);
    expect(places).toBeGreaterThanOrEqual(2 * count);
    expect(Math.log2(places) % 1).toBe(0);
  }
});

describe('room for what may be configured later', () => {
  const many = (count: number) => withBackends([vip('10.0.0.1:80/tcp', 65_537)], count);

  test('is as much again, at least 64 backends and 8 vips', () => {
    expect(capacityFor(many(1))).toEqual({ vips: 8, backends: 64, slotEntries: 8 * 16_385 });
    expect(capacityFor(many(100))).toMatchObject({ vips: 8, backends: 200 });
    expect(capacityFor(Array.from({ length: 20 }, () => many(1)[0]!))).toMatchObject({
      vips: 40,
      backends: 83,
    });
  });

  test('is bounded, and never beyond what can be numbered', () => {
    expect(capacityFor(many(10_000)).backends).toBe(11_024);
    expect(capacityFor(many(65_000)).backends).toBe(65_535);
    const spare = capacityFor(Array.from({ length: 4000 }, () => many(0)[0]!));
    expect(spare.vips).toBe(inbandLimit.vipsMax);
    expect(spare.slotEntries).toBe(4096 * 16_385);
    const half = capacityFor(Array.from({ length: 2000 }, () => many(0)[0]!));
    expect(half.slotEntries).toBe(2000 * 16_385 + (64 << 20) / 8);
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
