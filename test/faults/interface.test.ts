import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { unharmed, useRig } from './support.ts';

const rig = useRig();
const downMs = 200;

/** Resolves when packets go to all backends. */
const allUsable = () =>
  vi.waitFor(
    async () => {
      const { vips } = await rig().balancer.status();
      expect(vips[0]!.backends.map(({ state }) => state)).toEqual(['up', 'up']);
    },
    { timeout: 5_000, interval: 50 },
  );

test('an interface that goes down and comes up again costs no connection', () =>
  unharmed(rig(), async () => {
    const { lab } = rig();
    await lab.exec(lab.lb, ['ip', 'link', 'set', 'dev', 'eth0', 'down']);
    await sleep(downMs);
    await lab.exec(lab.lb, ['ip', 'link', 'set', 'dev', 'eth0', 'up']);
    await allUsable();
  }));

test('a cable that is pulled and plugged in again costs no connection', () =>
  unharmed(rig(), async () => {
    const { lab } = rig();
    await lab.setLink(lab.lb, 'down');
    await sleep(downMs);
    await lab.setLink(lab.lb, 'up');
    await allUsable();
  }));

test('an interface that is down when the daemon starts again is used when it is up', async () => {
  const { lab, balancer } = rig();
  await unharmed(rig(), async () => {
    await balancer.end('SIGKILL');
    await lab.exec(lab.lb, ['ip', 'link', 'set', 'dev', 'eth0', 'down']);
    const started = balancer.start();
    await sleep(downMs);
    await lab.exec(lab.lb, ['ip', 'link', 'set', 'dev', 'eth0', 'up']);
    await started;
    await allUsable();
  });
});

test('a backend that another machine takes the place of gets its packets there', async () => {
  const { lab } = rig();
  const server = lab.servers[1]!;
  await unharmed(rig(), async () => {
    for (const mac of ['02:77:00:0f:00:02', server.mac]) {
      const before = await lab.segments(server);
      await lab.changeMac(server, mac);
      await sleep(200);
      await vi.waitFor(
        async () => expect((await lab.segments(server)).received).toBeGreaterThan(before.received + 50),
        { timeout: 5_000 },
      );
    }
  });
  expect((await rig().balancer.status()).vips[0]!.backends[1]!.state).toBe('up');
});
