import { expect, test } from 'vitest';
import { exitCode } from '../../src/errors.ts';
import { unharmed, useRig } from './support.ts';

const rig = useRig();
const elsewhere = () => ({ flags: ['--socket', `${rig().balancer.socket}.second`] });

test('a second daemon on an interface is refused, by name of the first, which goes on', async () => {
  const { balancer } = rig();
  const { pid } = await balancer.status();
  await unharmed(rig(), async () => {
    const { code, error } = await balancer.refused(elsewhere());
    expect(code).toBe(exitCode.alreadyRunning);
    expect(error.code).toBe('ALREADY_RUNNING');
    expect(error.message).toContain(rig().lab.lb.interface);
    expect(error.message).toContain(String(pid));
  });
  expect((await balancer.status()).pid).toBe(pid);
});

test('of two daemons that start at the same time one runs and the other one is refused', async () => {
  const { balancer } = rig();
  await unharmed(rig(), async () => {
    await balancer.end('SIGKILL');
    const other = new AbortController();
    const both = [balancer.refused({}, other.signal), balancer.refused(elsewhere(), other.signal)];
    const first = await Promise.race(both);
    other.abort();
    const codes = (await Promise.all(both)).map(({ code }) => code);
    expect(first.code).toBe(exitCode.alreadyRunning);
    // The one that runs does not end by itself.
    expect(codes.sort()).toEqual([exitCode.alreadyRunning, 'SIGKILL']);
    await balancer.start();
  });
});

test('a daemon that was killed keeps nobody from starting', async () => {
  const { balancer } = rig();
  await unharmed(rig(), async () => {
    for (let i = 0; i < 3; i++) {
      await balancer.end('SIGKILL');
      await balancer.start();
    }
  });
});
