import { setTimeout as sleep } from 'node:timers/promises';
import { exitCode } from '../../src/errors.ts';
import { abuse, badReload, fillDisk, look } from './admin.ts';
import { monotonicNs } from './balancer.ts';
import { bounce, changeMac, crash, silence, slow, unplug } from './network.ts';
import type { Disturbance, World } from './world.ts';

/** Whether flows of a backend that is gone are cut off. */
const cutsOff = ({ fate }: World): boolean => fate !== 'keep';

async function operate(world: World): Promise<string | undefined> {
  const servers = world.calm.map(({ name }) => name);
  const operation = world.pool.draw(world.random, servers);
  if (!operation) return undefined;
  const takesAway = ['drain', 'maintenance', 'remove'].includes(operation.kind);
  const others = world.serving.filter(({ name }) => name !== operation.server);
  if (takesAway && others.length === 0) return undefined;
  const server = world.rig.lab.host(operation.server);
  const isCutOff = cutsOff(world) && ['maintenance', 'remove'].includes(operation.kind);
  if (isCutOff) world.excuse(server, `${operation.kind} of its server, ${world.fate}`);
  await world.rig.operate(world.pool, operation);
  if (['ready', 'add'].includes(operation.kind)) {
    for (const excuse of world.excuses) {
      if (excuse.server === server.name && excuse.cause.includes(' of its server'))
        excuse.toNs = monotonicNs();
    }
  }
  return `${operation.kind} ${operation.server}${operation.kind === 'weight' ? ` ${operation.weight ?? 'as configured'}` : ''}`;
}

async function restart(world: World, signal: 'SIGKILL' | 'SIGTERM', pauseMs: number): Promise<string> {
  const { balancer } = world.rig;
  const endedNs = await balancer.end(signal);
  await sleep(pauseMs);
  const { tickedNs } = await balancer.start(world.startOptions);
  const pause = pauseMs > 0 ? ` ${pauseMs} ms later` : '';
  return `${signal} to the daemon, started${pause}: ${Math.round((tickedNs - endedNs) / 1e6)} ms without control`;
}

async function secondDaemon(world: World): Promise<string> {
  const { code, error } = await world.rig.balancer.refused({
    flags: ['--socket', `${world.rig.balancer.socket}2`],
  });
  const asked = exitCode.alreadyRunning;
  if (code !== asked) world.fail(`a second daemon ended with ${code}, not ${asked}: ${error.message}`);
  return 'a second daemon is refused';
}

/** Every disturbance by name, and how often it happens beside the others. */
export const disturbances: Readonly<
  Record<string, { readonly weight: number; readonly happen: Disturbance }>
> = {
  operation: { weight: 12, happen: operate },
  kill: { weight: 3, happen: (world) => restart(world, 'SIGKILL', 0) },
  absence: { weight: 1, happen: (world) => restart(world, 'SIGKILL', world.ms(500, 2_000)) },
  upgrade: { weight: 2, happen: (world) => restart(world, 'SIGTERM', 0) },
  crash: { weight: 3, happen: crash },
  silence: { weight: 2, happen: silence },
  unplug: { weight: 1, happen: unplug },
  bounce: { weight: 1, happen: bounce },
  mac: { weight: 1, happen: changeMac },
  slow: { weight: 2, happen: slow },
  bad_reload: { weight: 2, happen: badReload },
  abuse: { weight: 3, happen: abuse },
  look: { weight: 2, happen: look },
  second_daemon: { weight: 1, happen: secondDaemon },
  full_disk: { weight: 1, happen: fillDisk },
};
