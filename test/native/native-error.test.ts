import { describe, expect, test } from 'vitest';
import type { NativeError } from '../../src/datapath/xdp/addon.ts';
import { effectiveCapabilities } from '../../src/datapath/xdp/capabilities.ts';
import { errnoName, native, nativeFailure } from '../../src/datapath/xdp/native-error.ts';
import { thrownBy } from './support.ts';

const failure = (errno: number, step: string, log = ''): NativeError =>
  Object.assign(new Error(step), { errno, step, log });

describe('errors of the addon become errors for users', () => {
  test.each([
    [1, 'bpf_object__load', 'PERMISSION', 6, /not permitted/, /CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON/],
    [16, 'bpf_link_create', 'HOOK_TAKEN', 7, /another XDP program/, /bpftool net show/],
    [17, 'bpf_link_create', 'HOOK_TAKEN', 7, /another XDP program/, /xdp off/],
    [95, 'bpf_link_create', 'XDP_UNSUPPORTED', 5, /no native XDP/, /generic/],
    [34, 'bpf_link_create', 'XDP_UNSUPPORTED', 5, /MTU/, /mtu 1500/],
    [19, 'if_indextoname', 'ENVIRONMENT', 5, /no such interface/, /ip link/],
  ])('errno %i at %s is %s', (errno, step, code, exitCode, message, hint) => {
    const error = nativeFailure(failure(errno, step), 'eth0');
    expect(error).toMatchObject({ code, exitCode });
    expect(error.message).toMatch(message);
    expect(error.message.startsWith(`eth0: ${step} failed (`)).toBe(true);
    expect(error.hint).toMatch(hint);
  });

  test('an error number means something else at another step', () => {
    for (const errno of [16, 17, 34, 95])
      expect(nativeFailure(failure(errno, 'mmap'), 'x').code).toBe('BPF_FAILED');
  });

  test('the last line of the log becomes part of the message, when there is one', () => {
    const log = 'libbpf: first\nlibbpf: elf: not an object\n';
    expect(nativeFailure(failure(22, 'open', log), 'a.o').message).toBe(
      'a.o: open failed (EINVAL): elf: not an object',
    );
    expect(nativeFailure(failure(22, 'open'), 'a.o').message).toBe('a.o: open failed (EINVAL)');
  });

  test('the hint of a rejected program ends with why, without what libbpf says around it', () => {
    const instructions = Array.from({ length: 100 }, (_, i) => `${i}: (b7) r0 = ${i}`);
    const end = [
      'R1 invalid mem access',
      'processed 9 insns',
      '-- END PROG LOAD LOG --',
      'libbpf: failed to load',
    ];
    const whole = ['libbpf: -- BEGIN PROG LOAD LOG --', ...instructions, ...end].join('\n');
    for (const log of [whole, whole.slice(-200)]) {
      const error = nativeFailure(failure(13, 'bpf_object__load', log), 'a.o');
      expect(error.message).toBe('a.o: bpf_object__load failed (EACCES): R1 invalid mem access');
      const lines = error.hint!.split('\n');
      expect(lines.at(-1)).toBe('R1 invalid mem access');
      expect(lines.length).toBeLessThanOrEqual(13);
      expect(error.hint).not.toMatch(/PROG LOAD LOG|processed/);
    }
  });

  test('errors that are not of the addon pass unchanged', () => {
    const own = new TypeError('a bug');
    const call = () => {
      throw own;
    };
    expect(thrownBy(() => native('x', call))).toBe(own);
  });

  test('numbers without a name in the C library have one', () => {
    expect([errnoName(1), errnoName(95), errnoName(524), errnoName(4003)]).toEqual([
      'EPERM',
      'EOPNOTSUPP',
      'ENOTSUPP',
      'libbpf error 4003',
    ]);
  });
});

describe('capabilities', () => {
  test('are read from the effective set of the process', () => {
    const status = (effective: string) =>
      `Name:\tnode\nCapPrm:\tffffffffffffffff\nCapEff:\t${effective}\nCapBnd:\t0\n`;
    expect([...effectiveCapabilities(status('0000000000000000'))]).toEqual([]);
    expect([...effectiveCapabilities(status('000000c000001000'))].sort()).toEqual([
      'CAP_BPF',
      'CAP_NET_ADMIN',
      'CAP_PERFMON',
    ]);
    expect([...effectiveCapabilities(status('000001ffffffffff'))]).toHaveLength(5);
    expect([...effectiveCapabilities('')]).toEqual([]);
  });
});
