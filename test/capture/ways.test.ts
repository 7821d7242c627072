import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { Ways } from '../../src/datapath/capture/ways.ts';
import { interfaces } from '../../src/datapath/xdp/neighbours.ts';
import { parseAddress } from '../../src/net/address.ts';
import { labUnavailable } from '../lab/require.ts';
import { enterLab, ip, needsBuild } from '../native/support.ts';

beforeEach((context) => {
  needsBuild(context);
  const reason = labUnavailable();
  if (reason !== undefined) context.skip(reason);
});

const mac = '02:00:00:00:00:11';

/** The ways to backends from `lb0`, which has 10.9.0.1/24, after one look. */
function waysTo(...destinations: [address: string, encapsulation: 'l2' | 'ipip'][]) {
  const list = destinations.map(([text, encapsulation]) => ({ address: parseAddress(text)!, encapsulation }));
  const ways = new Ways('lb0');
  ways.follow(list);
  onTestFinished(() => ways.close());
  const ifindex = interfaces().find(({ name }) => name === 'lb0')!.index;
  return { ways, poll: (nowMs: number) => ways.poll(nowMs, ifindex) };
}

describe('the way to a backend', () => {
  beforeEach(() => {
    if (labUnavailable() !== undefined) return;
    enterLab();
    ip('address', 'add', '10.9.0.1/24', 'dev', 'lb0');
  });

  test('in the segment is its link address', () => {
    ip('neigh', 'add', '10.9.0.11', 'lladdr', mac, 'dev', 'lb0');
    const { ways, poll } = waysTo(['10.9.0.11', 'l2']);
    expect(poll(0)).toBe(true);
    expect(ways.ways[0]).toMatchObject({ encapsulation: 'l2', mac: Uint8Array.of(2, 0, 0, 0, 0, 0x11) });
    expect(poll(1)).toBe(false);
  });

  test('behind a router is none for frames, and a route for packets', () => {
    ip('route', 'add', '10.20.0.0/16', 'via', '10.9.0.254');
    const { ways, poll } = waysTo(['10.20.0.1', 'l2'], ['10.20.0.1', 'ipip']);
    poll(0);
    expect(ways.ways[0]).toContain('behind gateway 10.9.0.254');
    expect(ways.ways[1]).toEqual({
      encapsulation: 'ipip',
      source: parseAddress('10.9.0.1')!.words[0],
      destination: parseAddress('10.20.0.1')!.words[0],
      destinationText: '10.20.0.1',
      mtu: 1500,
    });
  });

  test('is kept when others come and go, and is the same for two backends at one address', () => {
    for (const last of [11, 12]) ip('neigh', 'add', `10.9.0.${last}`, 'lladdr', mac, 'dev', 'lb0');
    const to = (last: number, encapsulation: 'l2' | 'ipip' = 'l2') => ({
      ...{ address: parseAddress(`10.9.0.${last}`)!, encapsulation },
    });
    const { ways, poll } = waysTo(['10.9.0.11', 'l2'], ['10.9.0.12', 'l2']);
    poll(0);
    const [first, second] = ways.ways;
    ways.follow([undefined, to(12), to(13), to(12), to(11, 'ipip')]);
    expect(ways.ways[1]).toBe(second);
    expect([0, 2, 3, 4].map((number) => ways.ways[number])).toEqual(Array(4).fill('not looked up yet'));
    expect(poll(1)).toBe(true);
    expect(ways.ways[2]).toContain('no neighbour entry');
    expect(ways.ways[3]).toEqual(second);
    expect(ways.ways[4]).toMatchObject({ encapsulation: 'ipip', destinationText: '10.9.0.11' });
    ways.follow([to(11)]);
    expect(ways.ways).toHaveLength(1);
    poll(2);
    expect(ways.ways[0]).toEqual(first);
  });

  test('out of another interface is none for frames', () => {
    ip('link', 'add', 'other0', 'type', 'veth', 'peer', 'name', 'other1');
    ip('address', 'add', '10.30.0.1/24', 'dev', 'other0');
    for (const name of ['other0', 'other1']) ip('link', 'set', name, 'up');
    ip('neigh', 'add', '10.30.0.11', 'lladdr', mac, 'dev', 'other0');
    const { ways, poll } = waysTo(['10.30.0.11', 'l2'], ['10.30.0.11', 'ipip']);
    poll(0);
    expect(ways.ways[0]).toContain('not on the segment of lb0');
    expect(ways.ways[1]).toMatchObject({
      encapsulation: 'ipip',
      source: parseAddress('10.30.0.1')!.words[0],
    });
  });

  test('is none without a route or to an address of our own, and comes with the route', () => {
    const { ways, poll } = waysTo(['10.20.0.1', 'ipip'], ['10.9.0.1', 'ipip']);
    poll(0);
    expect(ways.ways).toEqual(['no route to 10.20.0.1', '10.9.0.1 is an address of this machine']);
    ip('route', 'add', '10.20.0.0/16', 'via', '10.9.0.254');
    expect(poll(999)).toBe(false);
    expect(poll(1_000)).toBe(true);
    expect(ways.ways[0]).toMatchObject({ encapsulation: 'ipip' });
  });
});
