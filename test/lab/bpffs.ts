import { spawnSync } from 'node:child_process';
import { isInBpffs } from '../../src/datapath/xdp/pins.ts';

export const bpffs = '/sys/fs/bpf';

let problem: { readonly reason: string | undefined } | undefined;

/**
 * Why nothing can be pinned here; undefined when it can. Where the BPF file system is not mounted it is mounted, as systemd
 * does at boot, and stays so.
 */
export function bpffsUnavailable(): string | undefined {
  problem ??= { reason: isInBpffs(bpffs) ? undefined : mountFailure() };
  return problem.reason;
}

function mountFailure(): string | undefined {
  const { status, stderr, error } = spawnSync('mount', ['-t', 'bpf', '-o', 'mode=0700', 'bpf', bpffs], {
    encoding: 'utf8',
  });
  return status === 0 ? undefined : `no BPF file system at ${bpffs}: ${(error?.message ?? stderr).trim()}`;
}
