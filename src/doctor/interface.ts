import type { HookHolder } from '../datapath/xdp/native.ts';
import type { Check } from './check.ts';
import { commandLine, inNamespace } from './command.ts';
import type { InterfaceFacts, PeerFacts } from './facts.ts';

/** Drivers of which some release of Linux has had native XDP; a kind of interface counts as its driver. */
const nativeDrivers: ReadonlySet<string> = new Set(
  (
    'veth tun bond virtio_net netvsc hv_netvsc mana vmxnet3 xen-netfront ena gve ixgbe ixgbevf i40e ice igb igc ' +
    'mlx4_en mlx4_core mlx5_core bnxt_en qede sfc nfp ionic atlantic enetc fsl_enetc fsl_dpa fsl_dpaa2_eth fec ' +
    'stmmac st_gmac mvneta mvpp2 nicvf thunder-nicvf cpsw am65-cpsw-nuss tsnep lan966x netsec mtk_soc_eth'
  ).split(' '),
);

/** The name of the datapath's program in the kernel. */
const datapathProgram = 'inband';

/** How XDP runs on an interface, as far as is known before it is attached. */
export type XdpOutlook = 'native' | 'generic' | 'unknown';

const isOurs = ({ programName }: HookHolder): boolean => programName === datapathProgram;

export function xdpOutlook(facts: InterfaceFacts): XdpOutlook {
  if (facts.hook && isOurs(facts.hook)) return facts.hook.mode === 'native' ? 'native' : 'generic';
  if (facts.probe === 'attached') return 'native';
  return facts.probe?.code === 'XDP_UNSUPPORTED' ? 'generic' : 'unknown';
}

/** Whether there is such an interface, and up. */
export function link({ name: interfaceName, link: found, running, driver }: InterfaceFacts): Check {
  const name = 'link';
  const why = 'packets for the vips arrive there';
  if (!found)
    return {
      name,
      state: 'failed',
      found: `there is no interface ${interfaceName}`,
      why,
      fix: 'ip -brief link',
    };
  const kind = driver === '' ? '' : `${driver}, `;
  if (!found.up) {
    const fix = commandLine(['ip', 'link', 'set', 'dev', interfaceName, 'up']);
    return { name, state: 'failed', found: `${kind}down`, why, fix };
  }
  if (running) return { name, state: 'ok', found: `${kind}up`, why };
  return {
    name,
    state: 'warning',
    found: `${kind}up, no carrier`,
    why: `${why}; is the other end of the cable up?`,
  };
}

function hook(facts: InterfaceFacts): Check {
  const name = 'xdp-hook';
  const why = 'an interface has one XDP program at a time';
  const { hook: holder } = facts;
  if (!holder) return { name, state: 'ok', found: 'free', why };
  const found = `${holder.programName || 'a program'} (id ${holder.programId}, ${holder.mode})`;
  if (isOurs(holder)) return { name, state: 'ok', found: `held by inband itself: ${found}`, why };
  if (holder.linkId !== undefined) {
    return {
      name,
      state: 'failed',
      found: `taken by ${found}`,
      why: `${why}; end the process that holds link ${holder.linkId}, which this shows`,
      fix: commandLine(['bpftool', 'link', 'show', 'id', String(holder.linkId)]),
    };
  }
  const off = { native: 'xdpdrv', generic: 'xdpgeneric', offload: 'xdpoffload' }[holder.mode] ?? 'xdp';
  const fix = commandLine(['ip', 'link', 'set', 'dev', facts.name, off, 'off']);
  return {
    name,
    state: 'failed',
    found: `taken by ${found}`,
    why: `${why}; if it is not in use, remove it`,
    fix,
  };
}

function nativeXdp(facts: InterfaceFacts): Check {
  const name = 'native-xdp';
  const { driver, probe, hook: holder } = facts;
  const generic = 'attached in generic mode a program runs later and several times slower';
  if (holder && isOurs(holder)) {
    return {
      name,
      state: holder.mode === 'native' ? 'ok' : 'warning',
      found: `inband runs in ${holder.mode} mode`,
      why: generic,
    };
  }
  if (probe === 'attached')
    return { name, state: 'ok', found: 'a program attached and was taken off again', why: generic };
  if (probe?.code === 'XDP_UNSUPPORTED') {
    const found = refusesMtu(facts) ? 'refused at this MTU' : `${driver || 'the driver'} has none`;
    return { name, state: 'warning', found, why: generic };
  }
  if (probe?.code === 'PERMISSION') {
    return {
      name,
      state: 'failed',
      privilege: true,
      found: probe.message,
      why: 'attaching needs CAP_NET_ADMIN',
    };
  }
  if (probe) return { name, state: 'unknown', found: probe.message, why: generic };
  const expected = nativeDrivers.has(driver)
    ? `not tried; ${driver} is known to have it`
    : `not tried; ${driver || 'the driver'} is not known to have it`;
  return { name, state: 'unknown', found: expected, why: generic };
}

/** Whether the driver takes no program in native mode because of the MTU, which can be changed. */
const refusesMtu = ({ probe }: InterfaceFacts): boolean =>
  probe !== 'attached' && probe?.code === 'XDP_UNSUPPORTED' && probe.message.includes('MTU');

function mtu(facts: InterfaceFacts): Check {
  const name = 'mtu';
  const found = String(facts.link?.mtu);
  if (!refusesMtu(facts)) {
    return { name, state: 'ok', found, why: 'layer-2 DSR makes no frame larger: it need not be changed' };
  }
  const [before, after] = [
    ['ip', 'link', 'set', 'dev'],
    ['mtu', '1500'],
  ];
  const fix = facts.peer
    ? peerCommand(facts.peer, before, after)
    : commandLine([...before, facts.name, ...after]);
  const why = `too large for native XDP${facts.peer ? ', which on a veth asks for that of the other end' : ''}`;
  return { name, state: 'warning', found, why, fix };
}

/** A command about the other end of a veth, whose name goes between `before` and `after`. */
function peerCommand(peer: PeerFacts, before: readonly string[], after: readonly string[]): string {
  const { name, namespace, ifindex } = peer;
  if (name !== undefined) return commandLine([...inNamespace(namespace), ...before, name, ...after]);
  const find = `PEER=$(grep -lx ${ifindex} /sys/class/net/*/ifindex | cut -d/ -f5)`;
  return `${find}; ${commandLine(before)} "$PEER" ${commandLine(after)}`;
}

/** Where that command has to be run, as the end of a sentence. */
const peerPlace = ({ elsewhere, namespace }: PeerFacts): string =>
  elsewhere && namespace === undefined ? '; run this in the namespace of the other end' : '';

const peerName = ({ name, ifindex }: PeerFacts): string => name ?? `interface ${ifindex}`;

function vethPeer({ peer }: VethFacts): Check {
  const name = 'veth-peer';
  const why =
    'what XDP sends on a veth arrives only if the other end has a native XDP program too, which lets everything pass';
  if (peer.xdp === 'native') return { name, state: 'ok', found: `${peerName(peer)} has native XDP`, why };
  const advice = {
    why: `${why}${peerPlace(peer)}`,
    fix: peerCommand(
      peer,
      ['ip', 'link', 'set', 'dev'],
      ['xdpdrv', 'obj', peer.passObject, 'sec', 'xdp.frags'],
    ),
  };
  if (peer.xdp === undefined) {
    return {
      name,
      state: 'unknown',
      found: `${peerName(peer)}, in another namespace, is out of sight`,
      ...advice,
    };
  }
  const found = peer.xdp === 'none' ? 'has no XDP program' : 'has one in generic mode only';
  return { name, state: 'failed', found: `${peerName(peer)} ${found}`, ...advice };
}

/** Whether the other end of a veth computes checksums, which are lost where frames are taken before the kernel does. */
export function vethChecksums({ peer }: VethFacts): Check {
  const name = 'checksums';
  const why =
    'checksums that the other end leaves to be computed later are lost on the way, and nobody can connect';
  const offload = peer.offloads?.get('tx-checksumming');
  if (offload && !offload.on) return { name, state: 'ok', found: `${peerName(peer)} computes them`, why };
  const advice = {
    why: `${why}${peerPlace(peer)}`,
    fix: peerCommand(peer, ['ethtool', '-K'], ['tx', 'off']),
  };
  if (!offload) return { name, state: 'unknown', found: `${peerName(peer)} could not be asked`, ...advice };
  return { name, state: 'failed', found: `${peerName(peer)} leaves them for later`, ...advice };
}

function aggregation(facts: InterfaceFacts): Check {
  const name = 'aggregation';
  const why =
    'packets that are merged on arrival (LRO, in generic mode also GRO) become too large to be sent on';
  if (!facts.offloads)
    return { name, state: 'unknown', found: 'ethtool does not say', why, fix: 'apt-get install -y ethtool' };
  const { offloads } = facts;
  const isOn = (feature: string) => offloads.get(feature)?.on === true;
  const disable = (feature: string) => commandLine(['ethtool', '-K', facts.name, feature, 'off']);
  if (isOn('large-receive-offload'))
    return { name, state: 'warning', found: 'LRO is on', why, fix: disable('lro') };
  if (xdpOutlook(facts) === 'generic' && isOn('generic-receive-offload')) {
    return { name, state: 'warning', found: 'GRO is on, in generic mode', why, fix: disable('gro') };
  }
  return { name, state: 'ok', found: 'packets come as they were sent', why };
}

export type VethFacts = InterfaceFacts & { readonly peer: PeerFacts };
export const isVeth = (facts: InterfaceFacts): facts is VethFacts => facts.peer !== undefined;

/** Whether XDP can run on an interface, and how. */
export function interfaceChecks(facts: InterfaceFacts): Check[] {
  if (!facts.link) return [link(facts)];
  const checks = [link, hook, nativeXdp, mtu, aggregation].map((check) => check(facts));
  if (!isVeth(facts)) return checks;
  // In generic mode frames leave as the kernel's own do, which needs nothing of the other end.
  return [...checks, ...(xdpOutlook(facts) === 'generic' ? [] : [vethPeer(facts)]), vethChecksums(facts)];
}
