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
    const first = balancer.start();
    const second = await balancer.refused(elsewhere());
    expect(second.code).toBe(exitCode.alreadyRunning);
    await first;
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
