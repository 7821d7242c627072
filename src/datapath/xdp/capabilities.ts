import { existsSync, readFileSync } from 'node:fs';
import { addon } from './addon.ts';
import { native } from './native-error.ts';

/** What the datapaths need, by the numbers of linux/capability.h; CAP_SYS_ADMIN stands for BPF and PERFMON too. */
const capabilities = {
  CAP_NET_ADMIN: 12,
  CAP_NET_RAW: 13,
  CAP_SYS_ADMIN: 21,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;
export type Capability = keyof typeof capabilities;

/** The effective capabilities of this process among those that matter here. */
export function effectiveCapabilities(status = readFileSync('/proc/self/status', 'utf8')): Set<Capability> {
  const bits = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const names = Object.keys(capabilities) as Capability[];
  return new Set(names.filter((name) => (bits >> BigInt(capabilities[name])) & 1n));
}

/** Whether the kernel carries its own type information, which some programs need to load. */
export const hasKernelBtf = (): boolean => existsSync('/sys/kernel/btf/vmlinux');

/**
 * Loads and unloads an XDP program that does nothing.
 * @throws InbandError `NATIVE_MISSING`, `PERMISSION` or `BPF_FAILED` when this process cannot.
 */
export const probeXdp = (): void => native('probe', () => addon().probe());
