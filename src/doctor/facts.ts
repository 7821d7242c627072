import type { Capability } from '../datapath/xdp/capabilities.ts';
import type { HookHolder } from '../datapath/xdp/native.ts';
import type { NeighbourState, NetInterface } from '../datapath/xdp/neighbours.ts';
import type { InbandError } from '../errors.ts';
import type { Address, Endpoint } from '../net/address.ts';

/** What checks judge. Reading it changes nothing, see gather.ts. */
export interface Facts {
  readonly machine: MachineFacts;
  /** Undefined when none was asked about. */
  readonly interface: InterfaceFacts | undefined;
  /** Up, and not the loopback. */
  readonly usableInterfaces: readonly string[];
  readonly vips: readonly VipFacts[];
  readonly backends: readonly BackendFacts[];
}

export interface MachineFacts {
  /** As Node names it: `linux`. */
  readonly platform: string;
  readonly kernel: string;
  readonly node: string;
  readonly btf: boolean;
  readonly bpffs: boolean;
  /** net.core.bpf_jit_enable; undefined when it cannot be seen, as in a network namespace of one's own. */
  readonly jit: number | undefined;
  /** kernel.unprivileged_bpf_disabled. */
  readonly unprivilegedBpfDisabled: number | undefined;
  readonly capabilities: ReadonlySet<Capability>;
  readonly native: NativeFacts;
  /** Why the kernel does not load an XDP program for this process; undefined when it does, or nothing could be asked. */
  readonly bpfProblem: InbandError | undefined;
}

export interface NativeFacts {
  /** Why it cannot be used; undefined when it can. */
  readonly problem: string | undefined;
  /** The script that builds it; undefined in a package without sources. */
  readonly builder: string | undefined;
  /** What the machine lacks to build it, and the command that installs that; only when there is a problem. */
  readonly missingTools: readonly string[];
  readonly installCommand: string;
}

export interface InterfaceFacts {
  readonly name: string;
  /** Undefined when there is no such interface. */
  readonly link: NetInterface | undefined;
  /** Whether it has a carrier. */
  readonly running: boolean;
  /** Its kind or the name of its driver; empty when neither is known. */
  readonly driver: string;
  /** Who holds the XDP hook; undefined when it is free. */
  readonly hook: HookHolder | undefined;
  /** What came of attaching a program natively for a moment; undefined when that was not tried. */
  readonly probe: 'attached' | InbandError | undefined;
  readonly offloads: Offloads | undefined;
  /** The other end of a veth; undefined for other interfaces. */
  readonly peer: PeerFacts | undefined;
}

/** Features by the names that `ethtool -k` prints. */
export type Offloads = ReadonlyMap<string, { readonly on: boolean; readonly fixed: boolean }>;

/** The other end of a veth. Undefined is what could not be seen from here. */
export interface PeerFacts {
  readonly ifindex: number;
  readonly name: string | undefined;
  /** Whether it is in another network namespace. */
  readonly elsewhere: boolean;
  /** That namespace as `ip netns` names it. */
  readonly namespace: string | undefined;
  /** How an XDP program is attached there. */
  readonly xdp: 'none' | 'native' | 'generic' | undefined;
  readonly offloads: Offloads | undefined;
  /** The program that an end of a veth needs for what XDP sends there to arrive. */
  readonly passObject: string;
}

export interface VipFacts {
  readonly vip: Endpoint;
  /** Interfaces of this machine that have its address. */
  readonly heldBy: readonly string[];
  /** arp_ignore in effect on the interface asked about; 0 without one. */
  readonly arpIgnore: number;
  /** The link address with which another machine answers ARP for it. */
  readonly answeredBy: string | undefined;
}

export interface BackendFacts {
  readonly address: Address;
  /** Undefined when there is no route. */
  readonly route:
    | { readonly interface: string; readonly gateway: string | undefined; readonly unicast: boolean }
    | undefined;
  /** Undefined without an entry. */
  readonly neighbour: { readonly state: NeighbourState; readonly mac: string | undefined } | undefined;
  /** Whether the kernel could be told to ask for its link address. */
  readonly asked: boolean;
}
