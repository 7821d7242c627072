import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { BackendsAnswer } from '../../src/admin/answers.ts';
import { unharmed, useRig } from './support.ts';

const rig = useRig({ health: { check: 'tcp', interval: '500ms', timeout: '500ms', slow_start: '300ms' } });
const watchedMs = 6_000;

/** By how much the clock of such a process differs after little more than a second. */
async function secondsApart(prefix: readonly string[]): Promise<number> {
  const program = 'console.log(Date.now()); setTimeout(() => console.log(Date.now()), 1_100)';
  const text = await rig().lab.exec(rig().lab.lb, [...prefix, process.execPath, '-e', program]);
  const [first, second] = text.split('\n').map(Number);
  return Math.abs(second! - first!) / 1e3;
}

/** A daemon whose clock of the day steps every second, by hours and days, forward and back. */
async function startWithSteps(): Promise<void> {
  const { balancer } = rig();
  const library = join(balancer.directory, 'clock.so');
  const source = join(import.meta.dirname, 'clock.c');
  execFileSync('cc', ['-shared', '-fPIC', '-O2', '-Wall', '-Werror', source, '-o', library, '-ldl']);
  const prefix = ['env', `LD_PRELOAD=${library}`];
  expect(await secondsApart(prefix)).toBeGreaterThan(3_000);
  await balancer.end('SIGTERM');
  await balancer.start({ prefix });
}

beforeAll(async () => {
  if (rig()) await startWithSteps();
});

test('steps of the clock move nothing: no flow, no slot, no check, no state', async () => {
  const { balancer } = rig();
  await sleep(2_500);
  const before = await balancer.status();
  await unharmed(rig(), async () => {
    const end = performance.now() + watchedMs;
    while (performance.now() < end) {
      const { backends } = await balancer.get<BackendsAnswer>('/backends');
      for (const { state, health, obstacle, share } of backends) {
        expect({ state, health: health.state, ejected: health.ejected, obstacle }).toEqual({
          ...{ state: 'ready', health: 'up', ejected: null, obstacle: null },
        });
        expect(share).toBeGreaterThan(0);
      }
      await sleep(100);
    }
  });
  const after = await balancer.status();
  expect(after.pid).toBe(before.pid);
  // The loop went on all the while, at its own pace: a tick each ms at best, and none was caught up with.
  const ticks = after.control.ticks - before.control.ticks;
  expect(ticks).toBeGreaterThan(watchedMs / 10);
  expect(ticks).toBeLessThan(2 * watchedMs);
});
