import { describe, expect, test } from 'vitest';
import { type CaptureFacts, captureFindings } from '../../src/datapath/capture/preflight.ts';
import { type CaptureMachine, diagnoseCapture } from '../../src/doctor/capture.ts';
import type { Facts } from '../../src/doctor/facts.ts';
import { facts, machine, nic, offloads, veth, vip } from './healthy.ts';

const fine: CaptureFacts = { interface: 'eth0', held: [], forwarded: [], offloads: [], asserts: false };
const able = (changes: Partial<Facts> = {}): Facts =>
  facts({
    machine: machine({ capabilities: new Set(['CAP_NET_RAW']) }),
    vips: [vip({ heldBy: [] })],
    ...changes,
  });
const installed: CaptureMachine = { packages: new Map(), findings: [] };

const checksOf = (given: Facts, capture = installed) =>
  Object.fromEntries(
    diagnoseCapture(given, capture).sections.flatMap(({ subject, checks }) =>
      checks.map((check) => [`${subject} ${check.name}`, check]),
    ),
  );

describe('what is in the way of capturing', () => {
  test('is nothing where all is well', () => {
    expect(captureFindings(fine)).toEqual([]);
  });

  test('is a vip that this machine has', () => {
    const held = [{ address: '10.0.0.100', prefixLength: 24, interface: 'lo' }];
    expect(captureFindings({ ...fine, held })).toMatchObject([
      { name: 'vip-address', refused: true, fix: 'ip address del 10.0.0.100/24 dev lo' },
    ]);
  });

  test('is a kernel that forwards, in each family of vips', () => {
    expect(captureFindings({ ...fine, forwarded: [4, 6] })).toMatchObject([
      { name: 'ip-forward', refused: true, fix: 'sysctl -w net.ipv4.conf.eth0.forwarding=0' },
      { name: 'ip-forward', refused: true, fix: 'sysctl -w net.ipv6.conf.eth0.forwarding=0' },
    ]);
  });

  test('is what merges packets; what is for sending only makes the ring smaller', () => {
    expect(captureFindings({ ...fine, offloads: ['gro', 'lro', 'tso', 'gso'] })).toMatchObject([
      { name: 'receive-offload', refused: true, fix: 'ethtool -K eth0 gro off lro off' },
      {
        name: 'capture-ring',
        refused: false,
        found: 'TSO and GSO are on',
        fix: 'ethtool -K eth0 tso off gso off',
      },
    ]);
  });

  test('is no package built with assertions, but that is said', () => {
    expect(captureFindings({ ...fine, asserts: true })).toMatchObject([
      { name: 'cap-build', refused: false, fix: 'CPPFLAGS=-DNDEBUG npm rebuild cap' },
    ]);
  });
});

describe('the diagnosis for capturing', () => {
  test('is ready where all is well, without any right to BPF', () => {
    expect(diagnoseCapture(able(), installed).verdict).toEqual({
      state: 'ready',
      text: 'ready: capture on eth0',
      exitCode: 0,
    });
  });

  test('names the package that is missing, and what installs it', () => {
    const packages = new Map([['cap', "Cannot find module 'cap'"]]);
    const { verdict } = diagnoseCapture(able(), { ...installed, packages });
    expect(verdict).toMatchObject({ state: 'not-ready', exitCode: 5 });
    expect(checksOf(able(), { ...installed, packages })['machine cap']).toMatchObject({
      state: 'failed',
      fix: expect.stringContaining('apt-get install -y libpcap-dev'),
    });
  });

  test('is ready without the package that only IP-in-IP needs', () => {
    const capture = { ...installed, packages: new Map([['raw-socket', 'not there']]) };
    expect(diagnoseCapture(able(), capture).verdict.state).toBe('ready');
    expect(checksOf(able(), capture)['machine raw-socket']!.state).toBe('warning');
  });

  test('is a matter of permission without CAP_NET_RAW', () => {
    const given = able({ machine: machine() });
    expect(diagnoseCapture(given, installed).verdict).toMatchObject({ state: 'permission', exitCode: 6 });
    expect(checksOf(given)['machine privileges']).toMatchObject({ state: 'failed', privilege: true });
  });

  test('fails where the datapath would refuse to start, and warns where it would not', () => {
    const findings = captureFindings({ ...fine, offloads: ['gro', 'tso'] });
    const { verdict } = diagnoseCapture(able(), { ...installed, findings });
    expect(verdict.text).toBe('not ready: interface eth0: receive-offload: GRO is on');
    expect(checksOf(able(), { ...installed, findings })['interface eth0 capture-ring']!.state).toBe(
      'warning',
    );
  });

  test('looks at the other end of a veth', () => {
    const given = able({ interface: veth({ offloads: offloads('tx-checksumming') }) });
    expect(checksOf(given)['interface eth0 checksums']!.state).toBe('failed');
    expect(checksOf(able({ interface: nic() }))['interface eth0 checksums']).toBeUndefined();
  });

  test('warns when another machine answers for the vip', () => {
    const given = able({ vips: [vip({ heldBy: [], answeredBy: '02:00:00:00:00:99' })] });
    expect(checksOf(given)['vip 10.0.0.100:80/tcp arp']).toMatchObject({
      state: 'warning',
      why: expect.stringContaining('--answer-arp'),
    });
  });
});
