import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicNs } from './balancer.ts';
import type { World } from './world.ts';

export async function crash(world: World): Promise<string | undefined> {
  const server = world.victim();
  if (!server) return undefined;
  const deadMs = world.ms(300, 3_000);
  const excuse = world.excuse(server, 'its server was killed');
  await world.rig.lab.crash(server);
  world.undoLater(server, deadMs, `${server.name} is back`, async () => {
    await world.rig.lab.revive(server);
    excuse.toNs = monotonicNs();
  });
  return `${server.name} crashes for ${deadMs} ms`;
}

export async function silence(world: World): Promise<string | undefined> {
  const server = world.victim();
  if (!server) return undefined;
  const silentMs = world.ms(200, 2_500);
  const excuse = world.excuse(server, 'its server was unplugged');
  await world.rig.lab.setLink(server, 'down');
  world.undoLater(server, silentMs, `${server.name} is plugged in`, async () => {
    await world.rig.lab.setLink(server, 'up');
    excuse.toNs = monotonicNs();
  });
  return `${server.name} is unplugged for ${silentMs} ms`;
}

export async function unplug(world: World): Promise<string> {
  const { lab } = world.rig;
  const downMs = world.ms(20, 300);
  await lab.setLink(lab.lb, 'down');
  await sleep(downMs);
  await lab.setLink(lab.lb, 'up');
  return `the load balancer was unplugged for ${downMs} ms`;
}

export async function bounce(world: World): Promise<string> {
  const { lab } = world.rig;
  const downMs = world.ms(20, 300);
  await lab.exec(lab.lb, ['ip', 'link', 'set', 'dev', 'eth0', 'down']);
  await sleep(downMs);
  await lab.exec(lab.lb, ['ip', 'link', 'set', 'dev', 'eth0', 'up']);
  return `the interface was down for ${downMs} ms`;
}

export async function changeMac(world: World): Promise<string | undefined> {
  const server = world.victim();
  if (!server) return undefined;
  const mac = server.mac.replace(/^02:77:00/, `02:77:${world.ms(16, 255).toString(16)}`);
  await world.rig.lab.changeMac(server, mac);
  return `${server.name} has MAC address ${mac}`;
}

export async function slow(world: World): Promise<string | undefined> {
  const server = world.victim();
  if (!server) return undefined;
  const us = world.ms(50, 1_000);
  world.rig.lab.setProcessingDelay(server, us);
  world.undoLater(server, world.ms(200, 2_000), `${server.name} is fast`, async () =>
    world.rig.lab.setProcessingDelay(server, 0),
  );
  return `${server.name} takes ${us} us for a request`;
}
