import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import type { BackendsAnswer } from '../../src/admin/answers.ts';
import { unharmed, useRig, withoutChecks } from './support.ts';

const health = { check: 'tcp', interval: '500ms', timeout: '500ms', rise: 1, fall: 2, slow_start: '1s' };
const rig = useRig({ health, pool: { lost_flows: 'resteer' } });

/** Resolves when a server has so many of the slots that every load has connections there. */
const isInUse = (address: string) =>
  vi.waitFor(
    async () => {
      const { backends } = await rig().balancer.get<BackendsAnswer>('/backends');
      expect(backends.find(({ backend }) => backend === address)!.share).toBeGreaterThan(0.45);
    },
    { timeout: 15_000, interval: 100 },
  );

/** Resolves when the checks say this of a server. */
const isSaidToBe = (address: string, wanted: string) =>
  vi.waitFor(
    async () => {
      const { backends } = await rig().balancer.get<BackendsAnswer>('/backends');
      expect(backends.find(({ backend }) => backend === address)!.health.state).toBe(wanted);
    },
    { timeout: 10_000, interval: 100 },
  );

test('a server that came back while there was no daemon loses no flow when slots move later', async () => {
  const { lab, balancer, servers } = rig();
  const server = servers[1]!;
  await isSaidToBe(server.address, 'up');
  await lab.crash(server);
  await isSaidToBe(server.address, 'down');
  await balancer.end('SIGKILL');
  await lab.revive(server);
  await balancer.start();
  await isSaidToBe(server.address, 'up');
  await unharmed(rig(), async () => {
    for (const weight of [1, 20, 1, 20, null]) {
      await balancer.post('/backend', { backend: servers[0]!.address, weight });
      await sleep(400);
    }
  });
});

test('servers that all seem to be down get all flows, and keep them', async () => {
  const { lab, balancer, servers } = rig();
  rig().configure(undefined, { health, pool: { lost_flows: 'keep' } });
  await balancer.post('/reload', {});
  await Promise.all(servers.map((server) => lab.crash(server)));
  await Promise.all(servers.map(({ address }) => isSaidToBe(address, 'down')));
  await Promise.all(servers.map((server) => lab.revive(server)));
  // Down still, as far as the load balancer knows.
  await unharmed(rig(), () => Promise.all(servers.map(({ address }) => isSaidToBe(address, 'up'))));
});

test.each(['reset', 'resteer'])(
  'flows of a server that fell silent and was removed are told by %s, and nobody else',
  async (fate) => {
    const { lab, balancer, servers } = rig();
    const dead = servers[1]!;
    rig().configure(undefined, { ...withoutChecks, policy: 'static', pool: { lost_flows: fate } });
    await balancer.post('/reload', {});
    await isInUse(dead.address);
    rig().startLoad({ connections: 16, thinkUs: 500 });
    await sleep(400);
    await lab.setLink(dead, 'down');
    await sleep(300);
    rig().configure([servers[0]!.name]);
    await balancer.post('/reload', {});
    // By then each has sent its request again, the last time after 0.6 s, and was told.
    await sleep(2_000);
    const connections = await rig().endLoad();
    await lab.setLink(dead, 'up');
    rig().configure(undefined, { health, pool: { lost_flows: fate } });
    await balancer.post('/reload', {});
    const broken = connections.filter(({ end }) => end !== 'kept' && end !== 'completed');
    expect(broken.length).toBeGreaterThan(0);
    expect(new Set(broken.map(({ end, server }) => `${end} ${server}`))).toEqual(
      new Set([`reset ${dead.name}`]),
    );
  },
);
