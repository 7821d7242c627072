import { setTimeout as sleep } from 'node:timers/promises';
import { exitCode } from '../../src/errors.ts';
import type { World } from './world.ts';

export async function restart(world: World, signal: 'SIGKILL' | 'SIGTERM', pauseMs: number): Promise<string> {
  const { balancer } = world.rig;
  const endedNs = await balancer.end(signal);
  await sleep(pauseMs);
  const { tickedNs } = await balancer.start(world.startOptions);
  const pause = pauseMs > 0 ? ` ${pauseMs} ms later` : '';
  return `${signal} to the daemon, started${pause}: ${Math.round((tickedNs - endedNs) / 1e6)} ms without control`;
}

export async function secondDaemon(world: World): Promise<string> {
  const { code, error } = await world.rig.balancer.refused({
    flags: ['--socket', `${world.rig.balancer.socket}2`],
  });
  const asked = exitCode.alreadyRunning;
  if (code !== asked) world.fail(`a second daemon ended with ${code}, not ${asked}: ${error.message}`);
  return 'a second daemon is refused';
}

/** The daemon does nothing for a while, as on a machine that swaps. */
export async function freeze(world: World): Promise<string> {
  const { balancer } = world.rig;
  const frozenMs = world.ms(50, 1_500);
  balancer.signal('SIGSTOP');
  await sleep(frozenMs);
  balancer.signal('SIGCONT');
  return `the daemon is frozen for ${frozenMs} ms`;
}

/** Daemons that are killed at any moment of their start, and then one that is not. */
export async function interruptedStarts(world: World): Promise<string> {
  const { balancer } = world.rig;
  const count = world.ms(1, 3);
  const lived: number[] = [];
  await balancer.end('SIGKILL');
  for (let i = 0; i < count; i++) {
    const ms = world.ms(100, 900);
    lived.push(ms);
    await balancer.refused(world.startOptions, AbortSignal.timeout(ms));
  }
  await balancer.start(world.startOptions);
  return `daemons are killed ${lived.join(', ')} ms after they began to start`;
}
