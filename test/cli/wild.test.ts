import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ReplayResult } from '../../src/datapath/replay/result.ts';
import { fixture, inband } from './inband.ts';

/**
 * Vips that each capture has, and its client->server and server->client packets, checked by hand against tshark's
 * conversations. Captures that are not here have no TCP or UDP packet that was decoded.
 */
const known: Record<string, { vips: string[]; client: number; server: number }> = {
  'wild/spindump-trace_quic_rfc_quant_basic.pcap': { vips: ['91.190.195.94:4433/udp'], client: 6, server: 7 },
  'wild/spindump-trace_quic_v23_aiortc_spin.pcap': { vips: ['34.247.69.99:443/udp'], client: 20, server: 49 },
  'wild/spindump-trace_tcp_short.pcap': { vips: ['[2001:67c:2b0:1c1::198]:80/tcp'], client: 15, server: 15 },
  'wild/spindump-trace_tcp_short_sack.pcap': { vips: ['92.122.26.214:443/tcp'], client: 25, server: 21 },
  'wild/tcpdump-LINKTYPE_IPV6.pcap': { vips: ['[2620:fe::9]:53/udp'], client: 1, server: 0 },
  'wild/tcpdump-quic_retry.pcap': { vips: ['[::1]:443/udp'], client: 12, server: 11 },
  'wild/zeek-1000-requests-one-dropped-response.pcap.gz': {
    vips: ['[::1]:80/tcp'],
    client: 2089,
    server: 2013,
  },
  'wild/zeek-django-cloud.pcapng': { vips: ['18.234.186.95:10625/tcp'], client: 316, server: 158 },
  'wild/zeek-greenhouse-app.pcap': { vips: ['172.21.0.6:5432/tcp'], client: 136, server: 94 },
  'wild/zeek-http-qinq-0.pcap': { vips: ['192.150.187.43:80/tcp'], client: 7, server: 7 },
  'wild/zeek-ipv6.pcap': {
    vips: [
      '[2001:470:4867:99::21]:21/tcp',
      '[2001:470:4867:99::21]:57086/tcp',
      '[2001:470:4867:99::21]:57087/tcp',
      '[2001:470:4867:99::21]:57088/tcp',
      '[2001:470:1f11:81f:c999:d94:aa7c:2e3e]:49189/tcp',
      '[2001:470:1f11:81f:c999:d94:aa7c:2e3e]:49190/tcp',
    ],
    client: 82,
    server: 54,
  },
  'wild/zeek-missing-syn.pcap': { vips: ['125.190.109.199:80/tcp'], client: 11, server: 10 },
  'wild/zeek-one-sided-2745.pcap': {
    vips: ['245.181.165.133:1433/tcp', '245.181.165.131:281/tcp'],
    client: 0,
    server: 6,
  },
  'wild/zeek-payload-syn.pcap': { vips: ['192.168.0.2:80/tcp'], client: 4, server: 2 },
  'wild/zeek-pipelined-requests.pcap': { vips: ['63.245.209.11:80/tcp'], client: 16, server: 33 },
  'wild/zeek-redis-50-pings.pcap': { vips: ['127.0.0.1:6379/tcp'], client: 58, server: 58 },
  'wild/zeek-retransmit-fast009.pcap': { vips: ['192.168.0.27:80/tcp'], client: 17, server: 22 },
  'wild/zeek-truncated-header.pcap': { vips: ['128.3.26.249:25/tcp'], client: 10, server: 14 },
  'wild/zeek-vlan-collisions.pcap': { vips: ['192.150.187.43:80/tcp'], client: 21, server: 21 },
  'pcap/pcapnggen-be-test001.pcapng': { vips: ['192.168.0.1:67/udp'], client: 0, server: 2 },
  'pcap/pcapnggen-be-test016.pcapng': { vips: ['192.168.0.1:67/udp'], client: 0, server: 2 },
  'pcap/pcapnggen-be-test202.pcapng': { vips: ['192.168.0.1:67/udp'], client: 0, server: 3 },
  'pcap/pcapnggen-le-test001.pcapng': { vips: ['192.168.0.1:67/udp'], client: 0, server: 2 },
  'pcap/pcapnggen-le-test010.pcapng': { vips: ['192.168.0.1:67/udp'], client: 0, server: 2 },
  'pcap/pcapnggen-le-test102.pcapng': { vips: ['192.168.0.1:67/udp'], client: 0, server: 2 },
  'pcap/pcapparser-err-buffertoosmall.pcapng': { vips: ['93.184.216.34:443/tcp'], client: 14, server: 13 },
  'pcap/tcpdump-tcp-handshake-nano.pcap': { vips: ['137.116.81.94:80/tcp'], client: 2, server: 1 },
  'pcap/tcpdump-timestamp_invalid_nano.pcap': { vips: ['137.116.81.94:80/tcp'], client: 2, server: 1 },
};

const captures = ['pcap', 'wild'].flatMap((room) =>
  readdirSync(fixture(room))
    .filter((name) => /\.pcap(ng)?(\.gz)?$/.test(name))
    .map((name) => `${room}/${name}`),
);

/** Handshakes that the third-party and hand-checked captures have, in microseconds. */
const handshakes: Record<string, number> = {
  'wild/spindump-trace_tcp_short.pcap': 33_100,
  'wild/zeek-pipelined-requests.pcap': 16_988,
  'wild/zeek-http-qinq-0.pcap': 70_034,
  'pcap/tcpdump-tcp-handshake-nano.pcap': 127_610,
};

describe('captures of other projects', () => {
  test('are all there', () => {
    expect(Object.keys(known).filter((name) => !captures.includes(name))).toEqual([]);
    expect(captures.length).toBe(33);
  });

  test.each(captures)('%s is replayed, and its servers are told from its clients', async (name) => {
    const { code, stdout, stderr } = await inband([
      ...['replay', fixture(name), '--use-server', '--json', '--strict'],
    ]);
    expect(stderr).toBe('');
    const result = JSON.parse(stdout) as ReplayResult;
    expect(code).toBe(result.warnings.length > 0 ? 4 : 0);
    const { read, client, server, skipped } = result.packets;
    expect(client + server + Object.values(skipped).reduce((sum, count) => sum + count, 0)).toBe(read);
    expect({ vips: result.vips.map(({ vip }) => vip), client, server }).toEqual(
      known[name] ?? { vips: [], client: 0, server: 0 },
    );
    const expected = handshakes[name];
    if (expected === undefined) return;
    const handshake = result.estimators.find(({ estimator }) => estimator === 'auto:handshake')!;
    expect(handshake.p50_ns! / 1e3 / expected).toBeCloseTo(1, 2);
  });
});
