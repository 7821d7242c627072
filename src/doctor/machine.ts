import type { Capability } from '../datapath/xdp/capabilities.ts';
import type { Check } from './check.ts';
import { commandLine } from './command.ts';
import type { MachineFacts } from './facts.ts';

/** The range that package.json declares. */
const nodeVersions = { first: [20, 19], end: [25, 0] } as const;

/** What the datapath uses, and the kernel that had it first. */
const kernelFeatures = [
  { version: [5, 5], name: 'memory shared with the control loop (BPF_F_MMAPABLE)' },
  { version: [5, 9], name: 'XDP links that detach by themselves' },
  { version: [5, 12], name: 'atomic operations in BPF' },
  { version: [5, 18], name: 'XDP on frames of several buffers' },
] as const;

type Version = readonly [number, number];

function versionOf(text: string): Version {
  const match = /^v?(\d+)\.(\d+)/.exec(text);
  return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
}

const isBefore = (a: Version, b: Version): boolean => a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);

/** Whether this is a Node.js that inband is made for. */
export function node({ node: found }: MachineFacts): Check {
  const version = versionOf(found);
  const why = 'inband is made for Node.js 20.19 to 24';
  if (isBefore(version, nodeVersions.first)) return { name: 'node', state: 'failed', found, why };
  if (!isBefore(version, nodeVersions.end)) return { name: 'node', state: 'warning', found, why };
  return { name: 'node', state: 'ok', found, why };
}

function kernel({ platform, kernel: found }: MachineFacts): Check {
  const name = 'kernel';
  if (platform !== 'linux') return { name, state: 'failed', found: platform, why: 'XDP is a part of Linux' };
  const version = versionOf(found);
  const missing = kernelFeatures.filter((feature) => isBefore(version, feature.version));
  if (missing.length > 0) {
    const list = missing.map((feature) => `${feature.name} since ${feature.version.join('.')}`).join(', ');
    return { name, state: 'failed', found, why: `a newer kernel has ${list}` };
  }
  return { name, state: 'ok', found, why: 'it has all that the xdp datapath uses' };
}

function btf({ btf: present }: MachineFacts): Check {
  const name = 'btf';
  const why = 'the kernel describes its types to BPF programs there';
  if (present) return { name, state: 'ok', found: '/sys/kernel/btf/vmlinux', why };
  return {
    name,
    state: 'failed',
    found: 'no /sys/kernel/btf/vmlinux',
    why: `${why}; use a kernel that is built with CONFIG_DEBUG_INFO_BTF=y`,
    fix: 'grep CONFIG_DEBUG_INFO_BTF "/boot/config-$(uname -r)"',
  };
}

/** Whether the part in C can be used. */
export function native({ native: facts }: MachineFacts): Check {
  const name = 'native';
  const why = 'the part of inband in C talks to the kernel';
  if (facts.problem === undefined) return { name, state: 'ok', found: 'built and loads', why };
  if (facts.builder === undefined) {
    return { name, state: 'failed', found: facts.problem, why: `${why}; its sources are not here` };
  }
  const build = commandLine(['node', facts.builder]);
  if (facts.missingTools.length === 0)
    return { name, state: 'failed', found: facts.problem, why, fix: build };
  return {
    name,
    state: 'failed',
    found: facts.problem,
    why: `${why}; building it needs ${facts.missingTools.join(', ')}`,
    fix: `${facts.installCommand} && ${build}`,
  };
}

/** Capabilities that are missing; CAP_SYS_ADMIN stands for the two that were once parts of it. */
export function missingCapabilities(held: ReadonlySet<Capability>): Capability[] {
  const needed: Capability[] = held.has('CAP_SYS_ADMIN')
    ? ['CAP_NET_ADMIN']
    : ['CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON'];
  return needed.filter((capability) => !held.has(capability));
}

function privileges({ capabilities, unprivilegedBpfDisabled }: MachineFacts): Check {
  const name = 'privileges';
  const missing = missingCapabilities(capabilities);
  if (missing.length === 0) {
    const why = 'XDP programs are loaded and attached with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON';
    return { name, state: 'ok', found: 'all capabilities that are needed', why };
  }
  const others = unprivilegedBpfDisabled === 0 ? ', although kernel.unprivileged_bpf_disabled is 0' : '';
  return {
    name,
    state: 'failed',
    privilege: true,
    found: `without ${missing.join(', ')}`,
    why: `nobody else may load and attach XDP programs${others}; run as root, or as a service with these capabilities`,
    fix: 'sudo inband doctor',
  };
}

function bpf({ capabilities, native, bpfProblem }: MachineFacts): Check {
  const name = 'bpf';
  const why = 'the kernel has to accept a program that does nothing';
  if (native.problem !== undefined || missingCapabilities(capabilities).length > 0) {
    return { name, state: 'unknown', found: 'not tried', why: 'needs what failed above' };
  }
  if (!bpfProblem) return { name, state: 'ok', found: 'an XDP program loads', why };
  if (bpfProblem.code !== 'PERMISSION') return { name, state: 'failed', found: bpfProblem.message, why };
  return {
    name,
    state: 'failed',
    privilege: true,
    found: 'the kernel refuses bpf() although the capabilities are there',
    why: 'a seccomp filter or a user namespace of a container does that: start it with --privileged; so does lockdown, which this shows',
    fix: 'cat /sys/kernel/security/lockdown',
  };
}

function bpffs({ bpffs: mounted }: MachineFacts): Check {
  const name = 'bpffs';
  const why = 'what is to outlive the process is kept there';
  if (mounted) return { name, state: 'ok', found: '/sys/fs/bpf', why };
  return {
    name,
    state: 'warning',
    found: 'not mounted',
    why: `${why}; without it forwarding stops with the process`,
    fix: 'mount -t bpf bpf /sys/fs/bpf',
  };
}

function jit({ jit: value }: MachineFacts): Check {
  const name = 'jit';
  const why = 'without the JIT compiler BPF programs are interpreted, many times slower';
  if (value === undefined) return { name, state: 'unknown', found: 'cannot be seen from here', why };
  if (value > 0) return { name, state: 'ok', found: 'on', why };
  return { name, state: 'warning', found: 'off', why, fix: 'sysctl -w net.core.bpf_jit_enable=1' };
}

/** What this machine is and has, whatever it is to do. */
export const machineChecks = (facts: MachineFacts): Check[] =>
  (facts.platform === 'linux'
    ? [node, kernel, btf, native, privileges, bpf, bpffs, jit]
    : [node, kernel]
  ).map((check) => check(facts));
