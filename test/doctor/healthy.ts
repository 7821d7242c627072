import type {
  BackendFacts,
  Facts,
  InterfaceFacts,
  MachineFacts,
  PeerFacts,
  VipFacts,
} from '../../src/doctor/facts.ts';
import { type Address, parseAddress, parseEndpoint } from '../../src/net/address.ts';

export const addressOf = (text: string): Address => parseAddress(text)!;

/** A machine on which all is well, but for what is given. */
export const machine = (changes: Partial<MachineFacts> = {}): MachineFacts => ({
  platform: 'linux',
  kernel: '6.1.0-18-amd64',
  node: '22.12.0',
  btf: true,
  bpffs: true,
  jit: 1,
  unprivilegedBpfDisabled: 2,
  capabilities: new Set(['CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON']),
  native: {
    problem: undefined,
    builder: '/opt/inband/native/build.mjs',
    missingTools: [],
    installCommand: '',
  },
  bpfProblem: undefined,
  ...changes,
});

export const offloads = (...on: string[]) =>
  new Map(
    ['tx-checksumming', 'large-receive-offload', 'generic-receive-offload'].map((name) => [
      name,
      { on: on.includes(name), fixed: false },
    ]),
  );

export const link = (changes: Partial<NonNullable<InterfaceFacts['link']>> = {}) => ({
  index: 2,
  name: 'eth0',
  mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  mtu: 1500,
  up: true,
  kind: '',
  master: undefined,
  peer: undefined,
  peerElsewhere: false,
  ...changes,
});

/** An interface that XDP attaches to natively. */
export const nic = (changes: Partial<InterfaceFacts> = {}): InterfaceFacts => ({
  name: 'eth0',
  link: link(),
  running: true,
  driver: 'ixgbe',
  hook: undefined,
  probe: 'attached',
  offloads: offloads(),
  peer: undefined,
  ...changes,
});

/** A veth whose other end is `peer0` in the namespace `switch` and is set up as it has to be. */
export const veth = (peer: Partial<PeerFacts> = {}, changes: Partial<InterfaceFacts> = {}): InterfaceFacts =>
  nic({
    driver: 'veth',
    peer: {
      ifindex: 7,
      name: 'peer0',
      elsewhere: true,
      namespace: 'switch',
      xdp: 'native',
      offloads: offloads(),
      passObject: '/opt/inband/build/native/pass.bpf.o',
      ...peer,
    },
    ...changes,
  });

export const vip = (changes: Partial<VipFacts> = {}, text = '10.0.0.100:80/tcp'): VipFacts => ({
  vip: parseEndpoint(text, 'vip'),
  heldBy: ['eth0'],
  arpIgnore: 0,
  answeredBy: undefined,
  ...changes,
});

export const backend = (changes: Partial<BackendFacts> = {}): BackendFacts => ({
  address: addressOf('10.0.0.11'),
  route: { interface: 'eth0', gateway: undefined, unicast: true },
  neighbour: { state: 'reachable', mac: '02:00:00:00:00:11' },
  asked: true,
  ...changes,
});

export const facts = (changes: Partial<Facts> = {}): Facts => ({
  machine: machine(),
  interface: nic(),
  usableInterfaces: ['eth0'],
  vips: [vip()],
  backends: [backend()],
  ...changes,
});
