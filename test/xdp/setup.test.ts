import { beforeEach, describe, expect, test } from 'vitest';
import { interfaces } from '../../src/datapath/xdp/neighbours.ts';
import { XdpProgram, type XdpProgramOptions } from '../../src/datapath/xdp/program.ts';
import { flowsMax, placeVips, setCount, slotStarts } from '../../src/datapath/xdp/setup.ts';
import { inbandLimit, inbandVip } from '../../src/generated/layout.ts';
import { ns } from '../../src/units.ts';
import { enterLab, ipJson, needsXdp, ip as runIp, thrownBy } from '../native/support.ts';
import { vip } from './support.ts';

const options: XdpProgramOptions = {
  flows: 100,
  vips: [vip('10.0.0.1:80/tcp')],
  backends: 2,
  timeoutsNs: [ns(64e3), ns(128e3)],
  epochNs: ns(64e6),
  cliff: 'smooth',
};

describe('the table of vips', () => {
  test('has each vip once, however many there are', () => {
    for (const count of [1, 2, 7, 64, 1000, inbandLimit.vipsMax]) {
      const vips = Array.from({ length: count }, (_, i) => vip(`10.0.${i >> 8}.${i & 255}:80/tcp`, 13));
      const { entries, mask } = placeVips(vips, 0);
      const view = new DataView(entries.buffer);
      const indices = new Set<number>();
      for (let at = 0; at < entries.length; at += inbandVip.size) {
        if (entries[at + inbandVip.fields.proto.offset] !== 0)
          indices.add(view.getUint16(at + inbandVip.fields.index.offset, true));
      }
      expect(indices.size).toBe(count);
      expect(entries.length).toBe((mask + 1) * inbandVip.size);
      expect(mask + 1).toBeGreaterThanOrEqual(2 * count);
    }
  });

  test('gives every vip slots of its own, from a whole entry of four on', () => {
    expect(
      slotStarts([vip('10.0.0.1:80/tcp', 13), vip('10.0.0.1:81/tcp', 17), vip('10.0.0.1:82/tcp', 4)]),
    ).toEqual([0, 16, 36, 40]);
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
    ['too many backends', { backends: 65_536 }, 'LIMIT', 'more than 65535 backends'],
    [
      'an IPv6 vip',
      { vips: [vip('[2001:db8::1]:80/tcp')] },
      'LIMIT',
      'vip [2001:db8::1]:80/tcp: the xdp datapath takes IPv4',
    ],
    [
      'a vip twice',
      { vips: [vip('10.0.0.1:80/tcp'), vip('10.0.0.1:80/tcp')] },
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
