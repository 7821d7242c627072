import { describe, expect, test } from 'vitest';
import type { InterfaceFacts } from '../../src/doctor/facts.ts';
import { parseOffloads } from '../../src/doctor/gather-interface.ts';
import { interfaceChecks, xdpOutlook } from '../../src/doctor/interface.ts';
import { InbandError } from '../../src/errors.ts';
import { link, nic, offloads, veth } from './healthy.ts';

const check = (name: string, facts: InterfaceFacts) =>
  interfaceChecks(facts).find((found) => found.name === name)!;
const states = (facts: InterfaceFacts) =>
  Object.fromEntries(interfaceChecks(facts).map(({ name, state }) => [name, state]));
const unsupported = (message: string) => new InbandError('XDP_UNSUPPORTED', message);
const holder = { mode: 'native', programId: 12, programName: 'xdp_filter', linkId: undefined };

describe('checks of an interface', () => {
  test('are all ok for a card with native XDP and a veth that is set up', () => {
    expect(new Set(Object.values(states(nic())))).toEqual(new Set(['ok']));
    expect(new Set(Object.values(states(veth())))).toEqual(new Set(['ok']));
    expect(states(veth())).toHaveProperty('checksums');
    expect(states(nic())).not.toHaveProperty('checksums');
  });

  test('are one check when there is no such interface', () => {
    expect(interfaceChecks(nic({ link: undefined }))).toMatchObject([
      { name: 'link', state: 'failed', found: 'there is no interface eth0' },
    ]);
  });

  test('one that is down, or lacks a carrier, is named', () => {
    expect(check('link', nic({ link: link({ up: false }), running: false }))).toMatchObject({
      state: 'failed',
      fix: 'ip link set dev eth0 up',
    });
    expect(check('link', nic({ running: false }))).toMatchObject({ state: 'warning' });
  });

  test('a name is quoted in commands', () => {
    const evil = nic({ name: 'a;reboot', link: link({ name: 'a;reboot', up: false }) });
    expect(check('link', evil).fix).toBe("ip link set dev 'a;reboot' up");
  });

  test.each([
    ['native', 'ip link set dev eth0 xdpdrv off'],
    ['generic', 'ip link set dev eth0 xdpgeneric off'],
    ['offload', 'ip link set dev eth0 xdpoffload off'],
    ['several', 'ip link set dev eth0 xdp off'],
  ])('a hook that is taken in %s mode is freed by its own command', (mode, fix) => {
    const found = check('xdp-hook', nic({ hook: { ...holder, mode }, probe: undefined }));
    expect(found).toMatchObject({ state: 'failed', found: `taken by xdp_filter (id 12, ${mode})`, fix });
  });

  test('a hook that a link holds is freed by ending its process', () => {
    const found = check('xdp-hook', nic({ hook: { ...holder, linkId: 9 }, probe: undefined }));
    expect(found).toMatchObject({ state: 'failed', fix: 'bpftool link show id 9' });
  });

  test('a hook that inband holds is as it should be, but not one with its helper', () => {
    const running = nic({ hook: { ...holder, programName: 'inband', linkId: 9 }, probe: undefined });
    expect(states(running)).toMatchObject({ 'xdp-hook': 'ok', 'native-xdp': 'ok' });
    expect(xdpOutlook(running)).toBe('native');
    const helper = nic({ hook: { ...holder, programName: 'inband_pass' }, probe: undefined });
    expect(states(helper)).toMatchObject({ 'xdp-hook': 'failed', 'native-xdp': 'unknown' });
    const slow = nic({ hook: { ...holder, programName: 'inband', mode: 'generic' }, probe: undefined });
    expect(states(slow)).toMatchObject({ 'xdp-hook': 'ok', 'native-xdp': 'warning' });
    expect(xdpOutlook(slow)).toBe('generic');
  });

  test('a driver without native XDP leaves the generic mode', () => {
    const facts = nic({ driver: 'e1000', probe: unsupported('eth0: the driver has no native XDP') });
    expect(check('native-xdp', facts)).toMatchObject({ state: 'warning', found: 'e1000 has none' });
    expect(xdpOutlook(facts)).toBe('generic');
  });

  test('an MTU that is too large is lowered, on a veth that of the other end', () => {
    const probe = unsupported('eth0: the MTU is too large for XDP');
    expect(check('mtu', nic({ probe }))).toMatchObject({
      state: 'warning',
      fix: 'ip link set dev eth0 mtu 1500',
    });
    expect(check('mtu', veth({}, { probe })).fix).toBe(
      'nsenter --net=/run/netns/switch ip link set dev peer0 mtu 1500',
    );
  });

  test('without a probe the driver says what to expect', () => {
    expect(check('native-xdp', nic({ probe: undefined })).found).toMatch(/ixgbe is known to have it/);
    expect(check('native-xdp', nic({ probe: undefined, driver: 'e1000' })).found).toMatch(/not known/);
    expect(xdpOutlook(nic({ probe: undefined }))).toBe('unknown');
  });

  test('a probe that is refused for lack of rights is a matter of permission', () => {
    const probe = new InbandError('PERMISSION', 'eth0: not permitted');
    expect(check('native-xdp', nic({ probe }))).toMatchObject({ state: 'failed', privilege: true });
  });

  test('LRO is turned off, and GRO only in generic mode', () => {
    expect(check('aggregation', nic({ offloads: offloads('large-receive-offload') })).fix).toBe(
      'ethtool -K eth0 lro off',
    );
    const gro = offloads('generic-receive-offload');
    expect(check('aggregation', nic({ offloads: gro })).state).toBe('ok');
    const generic = nic({ offloads: gro, probe: unsupported('no native XDP') });
    expect(check('aggregation', generic).fix).toBe('ethtool -K eth0 gro off');
    expect(check('aggregation', nic({ offloads: undefined })).state).toBe('unknown');
  });

  test.each(['none', 'generic'] as const)('the other end of a veth with %s XDP gets a program', (xdp) => {
    const found = check('veth-peer', veth({ xdp }));
    expect(found.state).toBe('failed');
    expect(found.fix).toBe(
      'nsenter --net=/run/netns/switch ip link set dev peer0 xdpdrv obj /opt/inband/build/native/pass.bpf.o sec xdp.frags',
    );
  });

  test('in generic mode the other end of a veth needs no program', () => {
    expect(states(veth({ xdp: 'none' }, { probe: unsupported('MTU') }))).not.toHaveProperty('veth-peer');
  });

  test('the other end of a veth has to compute checksums', () => {
    expect(check('checksums', veth({ offloads: offloads('tx-checksumming') }))).toMatchObject({
      state: 'failed',
      fix: 'nsenter --net=/run/netns/switch ethtool -K peer0 tx off',
    });
  });

  test('the other end in this namespace is set up without going elsewhere', () => {
    const here = veth({ elsewhere: false, namespace: undefined, offloads: offloads('tx-checksumming') });
    expect(check('checksums', here).fix).toBe('ethtool -K peer0 tx off');
    expect(check('checksums', here).why).not.toMatch(/namespace/);
  });

  test('the other end out of sight comes with commands that find it there', () => {
    const hidden = { name: undefined, namespace: undefined, xdp: undefined, offloads: undefined };
    const facts = veth(hidden);
    for (const name of ['veth-peer', 'checksums']) {
      const found = check(name, facts);
      expect(found.state).toBe('unknown');
      expect(found.why).toMatch(/run this in the namespace of the other end$/);
    }
    expect(check('checksums', facts).fix).toBe(
      'PEER=$(grep -lx 7 /sys/class/net/*/ifindex | cut -d/ -f5); ethtool -K "$PEER" tx off',
    );
  });
});

test('features are read as ethtool prints them, the fixed ones and those that make up others', () => {
  const text =
    'Features for lb0:\ntx-checksumming: on\n\ttx-checksum-ipv4: off [fixed]\nlarge-receive-offload: off [fixed]\n';
  expect(Object.fromEntries(parseOffloads(text))).toEqual({
    'tx-checksumming': { on: true, fixed: false },
    'tx-checksum-ipv4': { on: false, fixed: true },
    'large-receive-offload': { on: false, fixed: true },
  });
});
