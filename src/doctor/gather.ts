import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { addon } from '../datapath/xdp/addon.ts';
import { effectiveCapabilities, hasKernelBtf, probeXdp } from '../datapath/xdp/capabilities.ts';
import { interfaces } from '../datapath/xdp/neighbours.ts';
import type { Address, Endpoint } from '../net/address.ts';
import type { Facts, MachineFacts, NativeFacts } from './facts.ts';
import { addressFacts } from './gather-addresses.ts';
import { interfaceFacts } from './gather-interface.ts';
import { passObject, problemOf, readNumber, readText } from './read.ts';

const toolchain = new URL('../../native/toolchain.mjs', import.meta.url);

/** What to look at beside the machine. */
export interface Request {
  readonly interface: string | undefined;
  readonly vips: readonly Endpoint[];
  readonly backends: readonly Address[];
  /** Whether a program may be attached for a moment, for which some drivers restart their rings. */
  readonly probe: boolean;
}

/**
 * Looks at the machine; takes up to a second for neighbours that do not answer. What is missing is a fact, never an
 * error. Changes nothing that lasts: a program is attached for a moment, and neighbours are asked for their address.
 */
export async function gatherFacts(request: Request): Promise<Facts> {
  const machine = await machineFacts();
  // Everything about the network is asked of the kernel through the native part.
  if (machine.native.problem !== undefined) {
    return { machine, interface: undefined, usableInterfaces: [], vips: [], backends: [] };
  }
  const all = interfaces();
  return {
    machine,
    interface:
      request.interface === undefined
        ? undefined
        : interfaceFacts(request.interface, all, request.probe && machine.bpfProblem === undefined),
    usableInterfaces: all.filter(({ name, up }) => up && name !== 'lo').map(({ name }) => name),
    ...(await addressFacts(request.vips, request.backends, request.interface, all)),
  };
}

async function machineFacts(): Promise<MachineFacts> {
  const native = await nativeFacts();
  return {
    platform: process.platform,
    kernel: release(),
    node: process.versions.node,
    btf: hasKernelBtf(),
    bpffs: /^\S+ \/sys\/fs\/bpf bpf /m.test(readText('/proc/self/mounts') ?? ''),
    jit: readNumber('/proc/sys/net/core/bpf_jit_enable'),
    unprivilegedBpfDisabled: readNumber('/proc/sys/kernel/unprivileged_bpf_disabled'),
    capabilities: effectiveCapabilities(readText('/proc/self/status') ?? ''),
    native,
    bpfProblem: native.problem === undefined ? problemOf(probeXdp) : undefined,
  };
}

async function nativeFacts(): Promise<NativeFacts> {
  const script = fileURLToPath(new URL('build.mjs', toolchain));
  const builder = existsSync(script) ? script : undefined;
  const problem =
    problemOf(addon)?.message ?? (existsSync(passObject) ? undefined : `there is no ${passObject}`);
  if (problem === undefined || builder === undefined)
    return { problem, builder, missingTools: [], installCommand: '' };
  const { missingTools, installCommand, tools } = await import(toolchain.href);
  // A package has BPF objects built already.
  const needed = existsSync(passObject) ? ['cc', 'libbpf'] : tools;
  return { problem, builder, missingTools: missingTools(needed), installCommand: installCommand(needed) };
}
