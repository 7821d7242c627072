import { InbandError } from '../../errors.ts';
import { addon, type LinkHandle } from './addon.ts';
import { native } from './native-error.ts';

const xdpFlags = { generic: 1 << 1, native: 1 << 2 } as const;

/** How XDP is attached: by the driver before a packet buffer exists, or by the kernel after. */
export type XdpMode = keyof typeof xdpFlags;

/** XDP_FLAGS_* of a mode. */
export const flagsOf = (mode: XdpMode): number => xdpFlags[mode];

/** An interface: the kernel wants the index, people the name. */
export interface InterfaceName {
  readonly index: number;
  readonly name: string;
}

/** What a link does: `ifindex` is 0 once its interface is gone or it was detached. */
export interface LinkInfo {
  readonly id: number;
  readonly programId: number;
  readonly ifindex: number;
}

/** Links that are attached. Held here, as one that is collected would take its program off the interface. */
const attached = new Set<XdpLink>();

/**
 * A program on an interface. It detaches at `close` and when the process ends, however that happens, unless it is pinned:
 * then it stays until its pin is removed too, or `detach`.
 */
export class XdpLink {
  /** For `BpfObject` alone. */
  readonly handle: LinkHandle;

  constructor(handle: LinkHandle) {
    this.handle = handle;
    attached.add(this);
  }

  /**
   * A link that was pinned at a path.
   * @throws InbandError `BPF_FAILED` when there is none, or something else; `PERMISSION`
   */
  static open(path: string): XdpLink {
    return new XdpLink(native(path, () => addon().linkOpen(path)));
  }

  /** @throws InbandError `BPF_FAILED` when the path is taken, or not in bpffs; `PERMISSION` */
  pin(path: string): void {
    native(path, () => addon().linkPin(this.handle, path));
  }

  info(): LinkInfo {
    return native('link', () => addon().linkInfo(this.handle));
  }

  /** Takes the program off the interface, pinned or not; the link stays, of no interface. */
  detach(): void {
    native('link', () => addon().linkDetach(this.handle));
  }

  close(): void {
    attached.delete(this);
    addon().close(this.handle);
  }
}

/**
 * Waits until no CPU runs what it was running when this was called: of a program that was replaced nothing writes to its
 * maps any more. Takes some ten ms.
 */
export const gracePeriod = (): void => native('grace period', () => addon().gracePeriod());

const hookModes: readonly string[] = ['none', 'native', 'generic', 'offload', 'several'];

/** Who holds an XDP hook. */
export interface HookHolder {
  /** `native`, `generic`, `offload`, or `several` when programs are attached in more than one way. */
  readonly mode: string;
  readonly programId: number;
  /** Empty without CAP_SYS_ADMIN, as is `linkId`. */
  readonly programName: string;
  /** The link that holds it; undefined when it was attached without one, by `ip link` for example. */
  readonly linkId: number | undefined;
}

/** Who holds the XDP hook of an interface; undefined when it is free. */
export function hookHolder({ index, name }: InterfaceName): HookHolder | undefined {
  const { mode, programId, programName, linkId } = native(name, () => addon().query(index));
  if (mode === 0) return undefined;
  return { mode: hookModes[mode] ?? 'unknown', programId, programName, linkId: linkId || undefined };
}

/** The error of a failed attach, naming who holds the hook when that is why. */
export function attachFailure(target: InterfaceName, cause: InbandError): InbandError {
  // Throws when there is no such interface, of which attaching only says EINVAL.
  const holder = hookHolder(target);
  if (!holder || cause.code !== 'HOOK_TAKEN') return cause;
  const { mode, programId, programName, linkId } = holder;
  const who = `XDP program ${programName || '(name unknown)'} (id ${programId}, ${mode})`;
  const hint =
    linkId === undefined
      ? `remove it: ip link set dev ${target.name} xdp${mode === 'generic' ? 'generic' : ''} off`
      : `end the process that holds its link ${linkId}; bpftool link show id ${linkId} says which`;
  return new InbandError('HOOK_TAKEN', `${target.name}: the XDP hook is taken by ${who}`, { hint, cause });
}
