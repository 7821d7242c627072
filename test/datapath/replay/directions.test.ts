import { expect, test } from 'vitest';
import { Directions, direction, discoveredVipsMax } from '../../../src/datapath/replay/directions.ts';
import { VipTable } from '../../../src/flow/vips.ts';
import { formatEndpoint, parseEndpoint } from '../../../src/net/address.ts';
import { packetOf, type Segment, syn, synAck } from './support.ts';

const names = Object.keys(direction);
const client = '192.0.2.1:50000';
const server = '198.51.100.1:443';

/** What becomes of packets in order, as `way vip`. */
function classify(segments: Segment[], configured: string[] = []): string[] {
  const vips = new VipTable();
  for (const text of configured) vips.add(parseEndpoint(text, 'test'));
  const directions = new Directions(vips, configured.length === 0);
  return segments.map((segment) => {
    const way = names[directions.classify(packetOf(segment))]!;
    return way === 'client' || way === 'server'
      ? `${way} ${formatEndpoint(vips.vips[directions.vip]!)}`
      : way;
  });
}

test('the target of a SYN is a vip, whatever its port', () => {
  expect(classify([{ from: '192.0.2.1:80', to: '198.51.100.1:60000', flags: syn }])).toEqual([
    'client 198.51.100.1:60000/tcp',
  ]);
});

test('the source of a SYN-ACK is a vip, whatever its port', () => {
  expect(classify([{ from: '198.51.100.1:60000', to: '192.0.2.1:80', flags: synAck }])).toEqual([
    'server 198.51.100.1:60000/tcp',
  ]);
});

test('after a SYN both directions of the conversation belong to the vip', () => {
  const segments = [
    { from: client, to: server, flags: syn },
    { from: server, to: client, flags: synAck },
    { from: client, to: server },
    { from: server, to: client },
  ];
  expect(classify(segments)).toEqual(
    ['client', 'server', 'client', 'server'].map((way) => `${way} ${server}/tcp`),
  );
});

test('without its start the side of a conversation with the lower port is the vip, whoever sends first', () => {
  expect(classify([{ from: client, to: server }])).toEqual([`client ${server}/tcp`]);
  expect(classify([{ from: server, to: client }])).toEqual([`server ${server}/tcp`]);
  expect(classify([{ from: client, to: server, udp: true }])).toEqual([`client ${server}/udp`]);
  expect(classify([{ from: server, to: client, udp: true }])).toEqual([`server ${server}/udp`]);
});

test('without its start and with equal ports the target of the first packet is the vip', () => {
  const ntp = [
    { from: '192.0.2.1:123', to: '192.0.2.2:123', udp: true },
    { from: '192.0.2.2:123', to: '192.0.2.1:123', udp: true },
  ];
  expect(classify(ntp)).toEqual(['client 192.0.2.2:123/udp', 'server 192.0.2.2:123/udp']);
});

test('a SYN to a client of a vip makes another vip', () => {
  const activeFtp = [
    { from: '192.0.2.1:50000', to: '198.51.100.1:21', flags: syn },
    { from: '198.51.100.1:20', to: '192.0.2.1:50001', flags: syn },
  ];
  expect(classify(activeFtp)).toEqual(['client 198.51.100.1:21/tcp', 'client 192.0.2.1:50001/tcp']);
});

test('groups and broadcast are no vips, reserved addresses can be', () => {
  const to = (address: string) => classify([{ from: '192.0.2.1:5353', to: `${address}:5353`, udp: true }])[0];
  expect(to('224.0.0.251')).toBe('notVip');
  expect(to('239.255.255.250')).toBe('notVip');
  expect(to('255.255.255.255')).toBe('notVip');
  expect(to('223.255.255.255')).toBe('client 223.255.255.255:5353/udp');
  expect(to('245.1.2.3')).toBe('client 245.1.2.3:5353/udp');
  expect(classify([{ from: '[2001:db8::1]:5353', to: '[ff02::fb]:5353', udp: true }])).toEqual(['notVip']);
});

test('IPv6 endpoints are vips too', () => {
  expect(classify([{ from: '[2001:db8::1]:50000', to: '[2001:db8::2]:443', flags: syn }])).toEqual([
    'client [2001:db8::2]:443/tcp',
  ]);
});

test('with configured vips nothing else is one', () => {
  const segments = [
    { from: client, to: server, flags: syn },
    { from: server, to: client, flags: synAck },
    { from: client, to: '198.51.100.2:443', flags: syn },
    { from: client, to: '198.51.100.1:80', flags: syn },
    { from: client, to: server, udp: true },
  ];
  expect(classify(segments, [`${server}/tcp`])).toEqual([
    `client ${server}/tcp`,
    `server ${server}/tcp`,
    'notVip',
    'notVip',
    'notVip',
  ]);
});

test('beyond the limit of vips found, packets of known ones go on and others are told apart as such', () => {
  const targets = Array.from({ length: discoveredVipsMax + 1 }, (_, i) => `198.51.100.1:${i + 1}`);
  const ways = classify([...targets, targets[0]!].map((to) => ({ from: client, to, flags: syn })));
  expect(ways.slice(0, discoveredVipsMax)).toEqual(
    targets.slice(0, discoveredVipsMax).map((to) => `client ${to}/tcp`),
  );
  expect(ways.slice(discoveredVipsMax)).toEqual(['vipLimit', `client ${targets[0]}/tcp`]);
});
