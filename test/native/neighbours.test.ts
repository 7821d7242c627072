import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  addresses,
  interfaces,
  type Neighbour,
  NetworkWatch,
  neighbour,
  neighbours,
  resolve,
  routeTo,
} from '../../src/datapath/xdp/neighbours.ts';
import { type Address, formatAddress, parseAddress } from '../../src/net/address.ts';
import { enterLab, ip, ipJson, needsXdp, temporaryDirectory, thrownBy } from './support.ts';

beforeEach(needsXdp);

const macText = (mac: Uint8Array) =>
  Buffer.from(mac)
    .toString('hex')
    .replace(/(..)(?=.)/g, '$1:');
const addressText = (address: Address | undefined) =>
  address && formatAddress(address.family, ...address.words);
const address = (text: string) => parseAddress(text)!;
const lb0 = () => interfaces().find(({ name }) => name === 'lb0')!;
const plain = ({ address, state, mac }: Neighbour) => ({
  address: addressText(address),
  state,
  mac: mac && macText(mac),
});

/** The lab with 10.7.0.1 and fd07::1 on lb0 and .2, ::2 on its peer; nothing has been sent yet. */
function enterAddressedLab() {
  const lab = enterLab();
  for (const prefix of ['10.7.0.1/24', 'fd07::1/64']) ip('addr', 'add', prefix, 'dev', 'lb0', 'nodad');
  for (const prefix of ['10.7.0.2/24', 'fd07::2/64'])
    ip('-n', lab.peer, 'addr', 'add', prefix, 'dev', 'peer0', 'nodad');
  return lab;
}

const watch = () => {
  const watch = new NetworkWatch();
  onTestFinished(() => watch.close());
  return watch;
};

// `ip` run without -n acts in the namespace of the thread that starts it, which is the test's.
describe('interfaces', () => {
  test('are listed as ip lists them', () => {
    const { peer } = enterAddressedLab();
    ip('link', 'add', 'br0', 'type', 'bridge');
    ip('link', 'set', 'lb0', 'master', 'br0');
    const found = interfaces();
    const listed = ipJson('-d', 'link');
    expect(found.map(({ index, name, mtu }) => [index, name, mtu])).toEqual(
      listed.map((link: { ifindex: number; ifname: string; mtu: number }) => [
        link.ifindex,
        link.ifname,
        link.mtu,
      ]),
    );
    const link = lb0();
    const peerIndex = JSON.parse(ip('-n', peer, '-j', 'link', 'show', 'peer0'))[0].ifindex;
    expect(link).toMatchObject({ up: true, kind: 'veth', peer: peerIndex, peerElsewhere: true });
    expect(link.master).toBe(found.find(({ name }) => name === 'br0')!.index);
    expect(macText(link.mac)).toBe(listed.find(({ ifname }: { ifname: string }) => ifname === 'lb0').address);
    expect(found[0]).toMatchObject({ name: 'lo', up: false, kind: '', peer: undefined, master: undefined });
  });

  test('have the addresses that ip lists', () => {
    enterAddressedLab();
    const listed = ipJson('addr').flatMap(
      (link: { ifindex: number; addr_info: { local: string; prefixlen: number }[] }) =>
        link.addr_info.map(({ local, prefixlen }) => `${link.ifindex} ${local}/${prefixlen}`),
    );
    const found = addresses().map(
      (entry) => `${entry.ifindex} ${addressText(entry.address)}/${entry.prefixLength}`,
    );
    expect(found.sort()).toEqual(listed.sort());
    expect(found).toContain(`${lb0().index} 10.7.0.1/24`);
  });
});

describe('neighbours', () => {
  test('are listed as ip lists them, those that failed without an address', async () => {
    enterAddressedLab();
    ip('neigh', 'add', '10.7.0.9', 'lladdr', '02:00:00:00:00:09', 'dev', 'lb0', 'nud', 'permanent');
    ip('neigh', 'add', 'fd07::9', 'lladdr', '02:00:00:00:00:0a', 'dev', 'lb0', 'nud', 'stale');
    resolve(lb0().index, address('10.7.0.77'));
    const listed = ipJson('neigh', 'show', 'nud', 'all').map(
      (entry: { dst: string; state: string[]; lladdr?: string }) => ({
        address: entry.dst,
        state: entry.state[0]!.toLowerCase(),
        mac: entry.lladdr,
      }),
    );
    const byAddress = (a: { address?: string | undefined }, b: { address?: string | undefined }) =>
      a.address! < b.address! ? -1 : 1;
    expect(neighbours().map(plain).sort(byAddress)).toEqual(listed.sort(byAddress));
    expect(listed).toContainEqual({ address: '10.7.0.77', state: 'incomplete', mac: undefined });
    expect(neighbour(lb0().index, address('10.7.0.9'))).toMatchObject({ state: 'permanent' });
    expect(neighbour(lb0().index, address('10.7.0.10'))).toBeUndefined();
  });

  test.each(['10.7.0.2', 'fd07::2'])(
    'resolving %s finds its link address, and the watch tells of it',
    async (text) => {
      const { peer } = enterAddressedLab();
      const { index } = lb0();
      const changes = watch();
      resolve(index, address(text));
      await expect.poll(() => neighbour(index, address(text))?.state, { timeout: 10_000 }).toBe('reachable');
      const mac = JSON.parse(ip('-n', peer, '-j', 'link', 'show', 'peer0'))[0].address;
      expect(macText(neighbour(index, address(text))!.mac!)).toBe(mac);
      const told = changes
        .read()
        .filter((change) => change.kind === 'neighbour' && addressText(change.neighbour.address) === text);
      expect(told.at(-1)).toMatchObject({ gone: false, neighbour: { state: 'reachable' } });
      expect(changes.read()).toEqual([]);
    },
  );

  test('a permanent entry stays permanent when it is resolved', () => {
    enterAddressedLab();
    ip('neigh', 'add', '10.7.0.9', 'lladdr', '02:00:00:00:00:09', 'dev', 'lb0', 'nud', 'permanent');
    resolve(lb0().index, address('10.7.0.9'));
    expect(neighbour(lb0().index, address('10.7.0.9'))).toMatchObject({ state: 'permanent' });
  });

  test('resolving on an interface that does not exist is an error', () => {
    enterAddressedLab();
    const error = thrownBy(() => resolve(9999, address('10.7.0.2')));
    expect(error).toMatchObject({ code: 'ENVIRONMENT' });
    expect(error.message).toMatch('10.7.0.2: the kernel said ENODEV');
  });
});

describe('the watch', () => {
  test('tells a changed and a removed neighbour, and an interface that went down', () => {
    enterAddressedLab();
    const { index } = lb0();
    const changes = watch();
    expect(changes.read()).toEqual([]);
    for (const mac of ['02:00:00:00:00:01', '02:00:00:00:00:02']) {
      ip('neigh', 'replace', '10.7.0.9', 'lladdr', mac, 'dev', 'lb0', 'nud', 'reachable');
    }
    ip('neigh', 'del', '10.7.0.9', 'dev', 'lb0');
    const told = changes.read().filter((change) => change.kind === 'neighbour');
    const macs = told.map((change) => change.neighbour.mac && macText(change.neighbour.mac));
    expect(macs).toContain('02:00:00:00:00:01');
    expect(macs).toContain('02:00:00:00:00:02');
    expect(told.at(-1)).toMatchObject({ gone: true, neighbour: { ifindex: index } });

    ip('addr', 'del', '10.7.0.1/24', 'dev', 'lb0');
    ip('link', 'set', 'lb0', 'down');
    const later = changes.read();
    expect(later).toContainEqual({
      kind: 'address',
      gone: true,
      address: { ifindex: index, address: address('10.7.0.1'), prefixLength: 24 },
    });
    expect(later.filter((change) => change.kind === 'interface').at(-1)).toMatchObject({
      gone: false,
      interface: { index, up: false },
    });
  });

  test('says that changes were lost when more came than the kernel keeps', () => {
    enterAddressedLab();
    const changes = watch();
    const { index } = lb0();
    ip('neigh', 'add', '10.7.0.9', 'lladdr', '02:00:00:00:00:01', 'dev', 'lb0', 'nud', 'stale');
    const batch = Array.from(
      { length: 2000 },
      (_, i) => `neigh replace 10.7.0.9 lladdr 02:00:00:00:00:0${1 + (i % 2)} dev lb0 nud stale`,
    );
    const file = join(temporaryDirectory(), 'batch');
    writeFileSync(file, batch.join('\n'));
    ip('-batch', file);
    const kinds = new Set<string>();
    for (let read = changes.read(); read.length > 0; read = changes.read())
      for (const { kind } of read) kinds.add(kind);
    expect(kinds).toContain('lost');
    expect(neighbour(index, address('10.7.0.9'))).toBeDefined();
  });
});

describe('routes', () => {
  test('lead to a neighbour directly, or through a gateway, as ip says', () => {
    enterAddressedLab();
    const { index } = lb0();
    ip('route', 'add', '10.8.0.0/16', 'via', '10.7.0.2');
    ip('route', 'add', '10.9.0.0/16', 'via', 'inet6', 'fd07::2', 'dev', 'lb0');
    ip('route', 'add', 'fd08::/64', 'via', 'fd07::2');
    for (const [to, gateway] of [
      ['10.7.0.2', undefined],
      ['10.8.1.2', '10.7.0.2'],
      ['10.9.0.1', 'fd07::2'],
      ['fd07::2', undefined],
      ['fd08::5', 'fd07::2'],
    ] as const) {
      const route = routeTo(address(to))!;
      const [listed] = ipJson('route', 'get', to);
      expect([to, addressText(route.gateway)]).toEqual([to, gateway]);
      expect(addressText(route.source)).toBe(listed.prefsrc);
      expect(route).toMatchObject({ ifindex: index, unicast: true });
    }
  });

  test('to our own address are not unicast, and where none leads there is none', () => {
    enterAddressedLab();
    ip('link', 'set', 'lo', 'up');
    expect(routeTo(address('10.7.0.1'))).toMatchObject({ unicast: false });
    ip('route', 'add', 'unreachable', '10.66.0.0/16');
    ip('route', 'add', 'blackhole', '10.67.0.0/16');
    for (const to of ['192.0.2.1', '10.66.0.1', '10.67.0.1', '2001:db8::1'])
      expect(routeTo(address(to))).toBeUndefined();
  });
});
