import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useRig, withoutChecks } from '../faults/support.ts';
import { skipAll } from '../lab/require.ts';
import { Receiver, receiverUnavailable } from '../support/datagrams.ts';

const rig = useRig();
const unavailable = receiverUnavailable();
skipAll(unavailable);

let manager: Receiver | undefined;
/** A daemon that was started as systemd starts it, and is to feed the watchdog each 250 ms. */
beforeAll(async () => {
  const balancer = rig()?.balancer;
  if (unavailable || !balancer) return;
  await balancer.end('SIGTERM');
  const path = join(balancer.directory, 'notify');
  manager = await Receiver.listen(path);
  await balancer.start({ prefix: ['env', `NOTIFY_SOCKET=${path}`, 'WATCHDOG_USEC=1000000'] });
});
afterAll(() => manager?.close());

const seen = () =>
  manager!.messages.filter((message) => message !== 'WATCHDOG=1').map((message) => message.split('\n')[0]);
const fed = () => manager!.messages.filter((message) => message === 'WATCHDOG=1').length;

test('a service manager hears once that the daemon is ready, and on and on that its control loop runs', async () => {
  await expect.poll(seen).toEqual(['READY=1']);
  expect(manager!.messages.find((message) => message.startsWith('READY'))).toMatch(/\nSTATUS=\S/);
  const before = fed();
  await expect.poll(fed, { timeout: 20_000 }).toBeGreaterThan(before + 2);
});

test('SIGHUP is a reload with a beginning and an end, also when the file is wrong', async () => {
  const { balancer } = rig();
  manager!.messages.length = 0;
  process.kill(balancer.pid, 'SIGHUP');
  await expect.poll(seen, { timeout: 20_000 }).toEqual(['RELOADING=1', 'READY=1']);
  expect(manager!.messages.find((message) => message.startsWith('RELOADING'))).toMatch(
    /\nMONOTONIC_USEC=\d+$/,
  );

  appendFileSync(balancer.configFile, '}');
  process.kill(balancer.pid, 'SIGHUP');
  await expect.poll(() => seen().slice(2), { timeout: 20_000 }).toEqual(['RELOADING=1', 'READY=1']);
  expect(manager!.messages.findLast((message) => message.startsWith('READY'))).toMatch(
    /^READY=1\nSTATUS=1 vip on \S+ by xdp; the last reload failed: .+$/,
  );
  rig().configure(undefined, withoutChecks);
});

test('it hears that the daemon stops before it has', async () => {
  manager!.messages.length = 0;
  await rig().balancer.end('SIGTERM');
  await manager!.ended();
  expect(seen()).toEqual(['STOPPING=1']);
});
