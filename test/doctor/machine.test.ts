import { describe, expect, test } from 'vitest';
import type { Capability } from '../../src/datapath/xdp/capabilities.ts';
import { machineChecks, missingCapabilities } from '../../src/doctor/machine.ts';
import { InbandError } from '../../src/errors.ts';
import { machine } from './healthy.ts';

const check = (name: string, changes: Parameters<typeof machine>[0]) =>
  machineChecks(machine(changes)).find((found) => found.name === name)!;

describe('checks of the machine', () => {
  test('are all ok where nothing is missing', () => {
    const checks = machineChecks(machine());
    expect(checks.map(({ name }) => name)).toEqual([
      'node',
      'kernel',
      'btf',
      'native',
      'privileges',
      'bpf',
      'bpffs',
      'jit',
    ]);
    expect(new Set(checks.map(({ state }) => state))).toEqual(new Set(['ok']));
  });

  test.each([
    ['5.4.0', 'failed', /BPF_F_MMAPABLE.*5\.5.*links.*5\.9.*atomic.*5\.12/],
    [
      '5.10.0-28-amd64',
      'failed',
      /^a newer kernel has atomic operations in BPF since 5\.12, XDP on frames of several buffers since 5\.18$/,
    ],
    ['5.15.0', 'failed', /5\.18$/],
    ['5.18.0', 'ok', /./],
    ['6.1.0', 'ok', /./],
    ['10.0', 'ok', /./],
  ])('a kernel %s is %s', (kernel, state, why) => {
    expect(check('kernel', { kernel })).toMatchObject({
      state,
      found: kernel,
      why: expect.stringMatching(why),
    });
  });

  test.each([
    ['18.20.0', 'failed'],
    ['20.18.3', 'failed'],
    ['20.19.0', 'ok'],
    ['24.11.0', 'ok'],
    ['25.0.0', 'warning'],
  ])('Node.js %s is %s', (node, state) => {
    expect(check('node', { node }).state).toBe(state);
  });

  test('of another system end with what it is', () => {
    const checks = machineChecks(machine({ platform: 'darwin', kernel: '24.1.0' }));
    expect(checks.at(-1)).toMatchObject({ name: 'kernel', state: 'failed', found: 'darwin' });
  });

  test.each<[Capability[], Capability[]]>([
    [[], ['CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON']],
    [['CAP_SYS_ADMIN'], ['CAP_NET_ADMIN']],
    [['CAP_SYS_ADMIN', 'CAP_NET_ADMIN'], []],
    [['CAP_BPF', 'CAP_NET_ADMIN'], ['CAP_PERFMON']],
    [['CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON'], []],
  ])('with %j, %j are missing', (held, missing) => {
    expect(missingCapabilities(new Set(held))).toEqual(missing);
    const found = check('privileges', { capabilities: new Set(held) });
    expect(found).toMatchObject(missing.length > 0 ? { state: 'failed', privilege: true } : { state: 'ok' });
    for (const name of missing) expect(found.found).toContain(name);
  });

  test('without capabilities nothing is said of what needs them', () => {
    expect(check('bpf', { capabilities: new Set() })).toMatchObject({ state: 'unknown' });
  });

  test('a container that forbids bpf() is told apart from missing capabilities', () => {
    const bpfProblem = new InbandError('PERMISSION', 'probe: bpf_prog_load failed (EPERM): not permitted');
    const found = check('bpf', { bpfProblem });
    expect(found).toMatchObject({ state: 'failed', privilege: true });
    expect(found.why).toMatch(/container/);
  });

  test('another failure of bpf() is no matter of permission', () => {
    const bpfProblem = new InbandError('BPF_FAILED', 'probe: bpf_prog_load failed (ENOSYS)');
    const found = check('bpf', { bpfProblem });
    expect(found).toMatchObject({ state: 'failed', found: bpfProblem.message });
    expect(found.privilege).toBeUndefined();
  });

  test('a native part that is not built comes with what to install and how to build it', () => {
    const native = { ...machine().native, problem: 'the native part of inband is not built' };
    expect(check('native', { native }).fix).toBe('node /opt/inband/native/build.mjs');
    const bare = {
      ...native,
      builder: '/opt/in band/build.mjs',
      missingTools: ['clang'],
      installCommand: 'apt-get install -y clang',
    };
    const found = check('native', { native: bare });
    expect(found.why).toMatch(/needs clang/);
    expect(found.fix).toBe("apt-get install -y clang && node '/opt/in band/build.mjs'");
  });

  test('a native part that is missing with its sources has no command that builds it', () => {
    const native = { ...machine().native, problem: 'it is not built', builder: undefined };
    const found = check('native', { native });
    expect(found).toMatchObject({ state: 'failed', why: expect.stringMatching(/sources are not here/) });
    expect(found.fix).toBeUndefined();
  });

  test('types, bpffs and the JIT are named with what they are for', () => {
    expect(check('btf', { btf: false })).toMatchObject({
      state: 'failed',
      why: expect.stringMatching(/CONFIG_DEBUG_INFO_BTF/),
    });
    expect(check('bpffs', { bpffs: false })).toMatchObject({
      state: 'warning',
      fix: 'mount -t bpf bpf /sys/fs/bpf',
    });
    expect(check('jit', { jit: 0 })).toMatchObject({
      state: 'warning',
      fix: 'sysctl -w net.core.bpf_jit_enable=1',
    });
    expect(check('jit', { jit: undefined }).state).toBe('unknown');
  });
});
