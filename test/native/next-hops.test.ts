import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { NextHops } from '../../src/datapath/xdp/next-hops.ts';
import { parseAddress } from '../../src/net/address.ts';
import { enterLab, ip, needsXdp } from './support.ts';

beforeEach(needsXdp);

const peer = '10.7.0.2';
const nobody = '10.7.0.77';

/** The ways from lb0, which has 10.7.0.1, to its peer and to nobody; nothing has been sent yet. */
function waysFromLab() {
  const lab = enterLab();
  ip('addr', 'add', '10.7.0.1/24', 'dev', 'lb0');
  ip('-n', lab.peer, 'addr', 'add', `${peer}/24`, 'dev', 'peer0');
  const hops = new NextHops([peer, nobody].map((text) => parseAddress(text)!));
  onTestFinished(() => hops.close());
  return { hops, lab };
}

/** Looks ten times a second, as a datapath does, until it is so. */
async function until(hops: NextHops, isSo: () => boolean, timeoutMs = 10_000): Promise<void> {
  const giveUp = performance.now() + timeoutMs;
  for (;;) {
    hops.poll(performance.now());
    if (isSo()) return;
    expect(performance.now()).toBeLessThan(giveUp);
    await sleep(100);
  }
}

const isFound = (hops: NextHops) => () => typeof hops.ways[0] !== 'string';

describe('next hops', () => {
  test('are found for who answers, and not for who does not', async () => {
    const { hops } = waysFromLab();
    expect(hops.ways).toEqual(['not looked up yet', 'not looked up yet']);
    await until(hops, isFound(hops));
    expect(hops.ways[0]).toMatchObject({ mac: expect.any(Uint8Array), sourceMac: expect.any(Uint8Array) });
    await until(hops, () => hops.ways[1] === `no neighbour entry for ${nobody} on lb0`);
  });

  test('outlive a kernel that forgets them while a link is down for a moment', async () => {
    const { hops } = waysFromLab();
    await until(hops, isFound(hops));
    const known = hops.ways[0];
    ip('neigh', 'flush', 'dev', 'lb0');
    const changed = hops.poll(performance.now());
    expect(changed).not.toContain(0);
    expect(hops.ways[0]).toEqual(known);
    ip('link', 'set', 'lb0', 'down');
    ip('link', 'set', 'lb0', 'up');
    hops.poll(performance.now());
    await until(hops, isFound(hops));
    expect(hops.ways[0]).toEqual(known);
  });

  test('are given up of who does not answer any more', async () => {
    const { hops, lab } = waysFromLab();
    await until(hops, isFound(hops));
    ip('-n', lab.peer, 'addr', 'del', `${peer}/24`, 'dev', 'peer0');
    ip('neigh', 'flush', 'dev', 'lb0');
    hops.poll(performance.now());
    expect(hops.ways[0]).toMatchObject({ mac: expect.any(Uint8Array) });
    await until(hops, () => hops.ways[0] === `no neighbour entry for ${peer} on lb0`);
    ip('-n', lab.peer, 'addr', 'add', `${peer}/24`, 'dev', 'peer0');
    await until(hops, isFound(hops));
  });

  test('are not used out of an interface that is down', async () => {
    const { hops } = waysFromLab();
    await until(hops, isFound(hops));
    ip('link', 'set', 'lb0', 'down');
    expect(hops.poll(performance.now())).toContain(0);
    expect(hops.ways[0]).toEqual(expect.any(String));
  });
});
