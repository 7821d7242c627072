import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { BpfObject, hookHolder, type InterfaceName } from '../datapath/xdp/native.ts';
import type { NetInterface } from '../datapath/xdp/neighbours.ts';
import { inNamespace, runCommand } from './command.ts';
import type { InterfaceFacts, Offloads, PeerFacts } from './facts.ts';
import { type LinkState, linkState } from './link.ts';
import { passObject, problemOf, readNumber } from './read.ts';

/** What there is to know of an interface; `probe` is whether a program may be attached to it for a moment. */
export function interfaceFacts(name: string, all: readonly NetInterface[], probe: boolean): InterfaceFacts {
  const link = all.find((found) => found.name === name);
  const state = link && linkState(link.index);
  const hook = link && state && hookHolder(link);
  return {
    name,
    link,
    running: state?.running ?? false,
    driver: link ? driverOf(link) : '',
    hook,
    probe: link && probe && !hook ? (problemOf(() => attachBriefly(link)) ?? 'attached') : undefined,
    offloads: link && offloadsOf(name, []),
    peer: link?.kind === 'veth' && state ? peerFacts(link, state) : undefined,
  };
}

function attachBriefly(target: InterfaceName): void {
  const object = BpfObject.load(passObject);
  try {
    object.attach('inband_pass', target, 'native').close();
  } finally {
    object.close();
  }
}

/** The kind of a virtual interface, the driver of a physical one; empty when unknown. */
function driverOf({ name, index, kind }: NetInterface): string {
  if (kind !== '') return kind;
  const directory = `/sys/class/net/${name}`;
  // A /sys that was mounted in another network namespace shows the interfaces of that one.
  if (readNumber(`${directory}/ifindex`) !== index) return '';
  try {
    return basename(readlinkSync(`${directory}/device/driver`));
  } catch {
    return '';
  }
}

/** Undefined where ethtool is missing or refused. `prefix` takes the command to another namespace. */
function offloadsOf(name: string, prefix: readonly string[]): Offloads | undefined {
  const result = runCommand([...prefix, 'ethtool', '-k', name]);
  return 'output' in result ? parseOffloads(result.output) : undefined;
}

/** What `ethtool -k` printed. */
export function parseOffloads(text: string): Offloads {
  const lines = text.matchAll(/^\s*([\w-]+): (on|off)( \[fixed\])?/gm);
  return new Map(
    [...lines].map(([, name, value, fixed]) => [name!, { on: value === 'on', fixed: fixed !== undefined }]),
  );
}

function peerFacts(
  { peer, peerElsewhere }: NetInterface,
  { peerNamespace }: LinkState,
): PeerFacts | undefined {
  if (peer === undefined) return undefined;
  const elsewhere = peerElsewhere || peerNamespace !== undefined;
  const state = elsewhere && peerNamespace === undefined ? undefined : linkState(peer, peerNamespace);
  const namespace = peerNamespace === undefined ? undefined : namespaceName(peerNamespace);
  const reachable = state && (!elsewhere || namespace !== undefined);
  return {
    ifindex: peer,
    name: state?.name,
    elsewhere,
    namespace,
    xdp: state?.xdp,
    offloads: reachable ? offloadsOf(state.name, inNamespace(namespace)) : undefined,
    passObject,
  };
}

/** The name of a network namespace by the number that this one has for it; undefined when it has none. */
function namespaceName(id: number): string | undefined {
  const result = runCommand(['ip', '-json', 'netns', 'list-id']);
  if (!('output' in result)) return undefined;
  const known = JSON.parse(result.output || '[]') as { nsid: number; name?: string }[];
  return known.find(({ nsid }) => nsid === id)?.name;
}
