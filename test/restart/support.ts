import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { onTestFinished, type TestContext } from 'vitest';
import { BpfObject, type XdpLink } from '../../src/datapath/xdp/native.ts';
import { interfaces } from '../../src/datapath/xdp/neighbours.ts';
import { linkPath, makePinDirectory, pinGeneration } from '../../src/datapath/xdp/pins.ts';
import { bpffs, bpffsUnavailable } from '../lab/bpffs.ts';
import { compileBpf } from '../native/compile.ts';
import { temporaryDirectory } from '../native/support.ts';

/** Skips the test, with the reason, where nothing can be pinned. */
export function needsBpffs(context: TestContext): void {
  const reason = bpffsUnavailable();
  if (reason !== undefined) context.skip(reason);
}

let directories = 0;

/** A name for a pin directory, which is removed after the test with all that it holds, whatever that is. */
export function pinDirectory(): string {
  const path = `${bpffs}/inband-restart-${process.pid}-${directories++}`;
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A BPF file system of its own, at a path that any user reaches; it is unmounted after the test. */
export function ownBpffs(): string {
  const path = temporaryDirectory();
  execFileSync('mount', ['-t', 'bpf', 'bpf', path]);
  onTestFinished(() => {
    execFileSync('umount', [path]);
  });
  chmodSync(path, 0o755);
  return path;
}

export const interfaceNamed = (name: string) => interfaces().find((one) => one.name === name)!;

/** A load balancer as far as pins go: its program passes all packets and counts them in `cells`. */
export function tinyObject(abi: number): BpfObject {
  const path = compileBpf(`
    const volatile __u32 inband_abi = ${abi};
    struct {
      __uint(type, BPF_MAP_TYPE_ARRAY);
      __uint(max_entries, 4);
      __uint(map_flags, BPF_F_MMAPABLE);
      __type(key, __u32);
      __type(value, __u64);
    } cells SEC(".maps");
    SEC("xdp") int inband(struct xdp_md *context)
    {
      __u32 key = 0;
      __u64 *cell = bpf_map_lookup_elem(&cells, &key);
      if (cell) *cell += inband_abi;
      return XDP_PASS;
    }`);
  const object = BpfObject.load(path);
  onTestFinished(() => object.close());
  return object;
}

/** Pins an object's program and maps as a generation. */
export function pinTiny(directory: string, generation: number, object: BpfObject): void {
  makePinDirectory(directory);
  pinGeneration(directory, generation, object, 'inband', ['cells', '.rodata']);
}

/** Attaches the object to an interface and pins it whole, as a process that then ends. */
export function leaveRunning(directory: string, object: BpfObject, interfaceName: string): void {
  pinTiny(directory, 1, object);
  const link: XdpLink = object.attach('inband', interfaceNamed(interfaceName), 'native');
  link.pin(linkPath(directory));
  link.close();
}
