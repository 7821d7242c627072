import type { Host, Plan } from './plan.ts';

/*
 * The load balancer and the clients have one cable to the switch. A server has two: `eth0` receives, behind the delay
 * line, and `eth1` sends, straight into the switch, so that the way back costs nothing. Both have the same MAC
 * address; the switch knows it behind the receiving port only, and gives nothing to the sending port.
 *
 *   switch [s1] ---- [s1line] delay [s1far] ---- [eth0] server [eth1] ---- [s1tx] switch
 */

/** Ports that only servers have, in the namespace of the switch. */
export const serverPorts = (server: Host) => ({
  line: `${server.name}line`,
  far: `${server.name}far`,
  tx: `${server.name}tx`,
});

export const allHosts = (plan: Plan): Host[] => [plan.lb, ...plan.clients, ...plan.servers];

export const namespaces = (plan: Plan): string[] => [
  plan.switch,
  ...allHosts(plan).map((host) => host.netns),
];

const lines = (commands: readonly string[]): string => `${commands.join('\n')}\n`;

/** Input of `ip -batch` that adds the namespaces. */
export const addNamespaces = (plan: Plan): string =>
  lines(namespaces(plan).map((netns) => `netns add ${netns}`));

/** What the kernel is told in a namespace before it has interfaces, which take their own settings from these. */
export function settings(host: Host | 'switch'): string[] {
  const everywhere = [
    // Neighbour discovery and router solicitations would be traffic that nobody asked for.
    'net.ipv6.conf.all.disable_ipv6=1',
    'net.ipv6.conf.default.disable_ipv6=1',
    // What was learned about a path before its delay changed must not shape the connections after it.
    'net.ipv4.tcp_no_metrics_save=1',
  ];
  // The bridge would drop frames with a bad IP header checksum, which tests send on purpose.
  if (host === 'switch') return [...everywhere, 'net.bridge.bridge-nf-call-iptables=0'];
  const perInterface =
    host.role === 'server'
      ? // Only the owner of an address answers ARP for it, and a server receives and sends on different interfaces.
        ['arp_ignore=1', 'arp_announce=2', 'rp_filter=0']
      : ['rp_filter=0'];
  // Load that connects anew must not run out of ports.
  const ports =
    host.role === 'client' ? ['net.ipv4.ip_local_port_range=1024 65535', 'net.ipv4.tcp_tw_reuse=1'] : [];
  return [
    ...everywhere,
    ...ports,
    ...perInterface.flatMap((setting) => [
      `net.ipv4.conf.all.${setting}`,
      `net.ipv4.conf.default.${setting}`,
    ]),
  ];
}

/** Input of `ip -batch` that adds the switch and all cables. */
export function addCables(plan: Plan): string {
  const bridge = `link add name br netns ${plan.switch} index 2 type bridge stp_state 0 mcast_snooping 0`;
  const cable = (host: Host, end: string, port: string, index = '') =>
    `link add name ${end} netns ${host.netns} address ${host.mac} type veth peer name ${port} netns ${plan.switch}${index}`;
  const cables = allHosts(plan).flatMap((host) => {
    const near = `${host.interface} index ${host.ifindex}`;
    if (host.role !== 'server') return [cable(host, near, host.port, ` index ${host.portIfindex}`)];
    const { line, far, tx } = serverPorts(host);
    const sending = cable(host, 'eth1 index 3', tx);
    if (!plan.options.delayLines) {
      return [cable(host, near, host.port, ` index ${host.portIfindex}`), sending];
    }
    return [
      `link add name ${host.port} netns ${plan.switch} index ${host.portIfindex} type veth peer name ${line} netns ${plan.switch}`,
      cable(host, near, far),
      sending,
    ];
  });
  return lines([bridge, ...cables]);
}

/** Input of `ip -batch` in the namespace of the switch. */
export function configureSwitch(plan: Plan): string {
  const plug = (port: string) => [`link set dev ${port} master br`, `link set dev ${port} up`];
  const servers = plan.servers.flatMap((server) => {
    const { line, far, tx } = serverPorts(server);
    return [
      ...plug(tx),
      `link set dev ${tx} type bridge_slave learning off flood off mcast_flood off bcast_flood off`,
      ...(plan.options.delayLines ? [`link set dev ${line} up`, `link set dev ${far} up`] : []),
    ];
  });
  return lines([...allHosts(plan).flatMap((host) => plug(host.port)), ...servers, 'link set dev br up']);
}

/** Input of `bridge -batch`: the switch knows where everybody is, and floods nothing but broadcasts. */
export const configureForwarding = (plan: Plan): string =>
  lines(allHosts(plan).map((host) => `fdb add ${host.mac} dev ${host.port} master static`));

/**
 * Ports whose kernel must compute checksums before a frame leaves: the load balancer's, as XDP_TX loses the note that
 * a checksum is still to be computed, and those in front of a delay line, as packet sockets lose it too.
 */
export const checksumPorts = (plan: Plan): string[] => [
  plan.lb.port,
  ...(plan.options.delayLines ? plan.servers.map((server) => server.port) : []),
];

/** The line of `ip -batch` that makes a client send what is for the vip to a host. */
export const vipNeighbour = (plan: Plan, to: Host): string =>
  `neigh replace ${plan.options.vip} lladdr ${to.mac} dev eth0 nud permanent`;

/**
 * The lines of `ip -batch` that tell a server where to send. ARP replies for what it asks on eth1 would arrive on eth0,
 * where its kernel ignores them.
 */
export const serverNeighbours = (plan: Plan): string[] =>
  [plan.lb, ...plan.clients].map(
    (host) => `neigh replace ${host.address} lladdr ${host.mac} dev eth1 nud permanent`,
  );

function configureServer(plan: Plan, server: Host): string[] {
  return [
    `addr add ${plan.options.vip}/32 dev lo`,
    `addr add ${server.address}/24 dev eth0 noprefixroute`,
    'link set dev eth0 up',
    'link set dev eth1 up',
    `route add 10.77.0.0/24 dev eth1 src ${server.address}`,
    ...serverNeighbours(plan),
  ];
}

/** Input of `ip -batch` in the namespace of a host. */
export function configureHost(plan: Plan, host: Host): string {
  const { vip, vipArp } = plan.options;
  if (host.role === 'server') return lines(['link set dev lo up', ...configureServer(plan, host)]);
  const own = ['link set dev lo up', `addr add ${host.address}/24 dev eth0`, 'link set dev eth0 up'];
  if (host.role === 'lb') return lines(vipArp === 'lb' ? [...own, `addr add ${vip}/32 dev eth0`] : own);
  return lines(vipArp === 'static' ? [...own, vipNeighbour(plan, plan.lb)] : own);
}
