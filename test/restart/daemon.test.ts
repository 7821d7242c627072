import { chownSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { FlowsAnswer } from '../../src/admin/answers.ts';
import type { Status } from '../../src/daemon.ts';

import { accountOf, brokenLine } from '../chaos/account.ts';
import { patienceMs } from '../chaos/rig.ts';
import { useRig, withoutChecks } from '../faults/support.ts';
import { root } from '../native/support.ts';
import { ownBpffs } from './support.ts';

/** Shares that change by themselves would be others at each look. */
const still = { ...withoutChecks, policy: 'static' };
const rig = useRig(still);

const sharesOf = ({ vips }: Status) => vips[0]!.backends.map(({ share }) => share);
const flowsOf = ({ vips }: Status) => vips[0]!.backends.map(({ flows }) => flows);

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

/** Segments that clients sent and no server received. */
async function lost(): Promise<number> {
  const { sent, received } = await rig().wire();
  return sent - received;
}

/** Long-lived and reconnecting clients while something happens: not one segment may get lost, and no connection break. */
async function withoutLoss(happen: () => Promise<void>): Promise<void> {
  const originNs = Number(process.hrtime.bigint());
  const before = await lost();
  rig().startLoad({ connections: 8, thinkUs: 200 });
  try {
    await sleep(300);
    await happen();
    await sleep(300);
  } finally {
    const account = accountOf(await rig().endLoad(), [], patienceMs * 1e6);
    expect(account.unexcused.map((broken) => brokenLine(broken, originNs))).toEqual([]);
    expect(account.answered).toBeGreaterThan(1000);
  }
  // Both ends have counted the last segments a moment later.
  await expect.poll(async () => (await lost()) - before, { timeout: 5_000 }).toBe(0);
}

describe('a daemon that is killed under load', () => {
  test('and started again loses no packet and no connection, and moves no slot', async () => {
    const { balancer } = rig();
    const before = await balancer.status();
    await withoutLoss(async () => {
      for (let i = 0; i < 3; i++) {
        await balancer.end('SIGKILL');
        await sleep(100);
        await balancer.start();
      }
    });
    const after = await balancer.status();
    expect(after.datapath).toMatchObject({ adopted: true, pinned: balancer.pin, mode: 'native' });
    expect(after.pid).not.toBe(before.pid);
    expect(sharesOf(after)).toEqual(sharesOf(before));
    expect(after.vips[0]!.slots_moved).toBe(0);
    for (const [b, flows] of flowsOf(after).entries()) expect(flows).toBeGreaterThan(flowsOf(before)[b]!);
  });

  test('and killed again at any moment of its start loses nothing either', async () => {
    const { balancer } = rig();
    await withoutLoss(async () => {
      for (let afterMs = 100; afterMs <= 1_000; afterMs += 100) {
        await balancer.end('SIGKILL');
        balancer.start().catch(() => {});
        await sleep(afterMs);
      }
      await balancer.end('SIGKILL');
      await balancer.start();
    });
    const { datapath, vips } = await balancer.status();
    expect(datapath).toMatchObject({ adopted: true });
    expect(vips[0]!.slots_moved).toBe(0);
    expect(readdirSync(balancer.pin)).toHaveLength(2);
    // Nothing was counted twice, or not at all; flows end while one looks.
    const known = async () => (await balancer.get<FlowsAnswer>('/flows?limit=1')).matched;
    const held = async () => sum((await balancer.status()).vips[0]!.backends.map((backend) => backend.held));
    expect(await known()).toBeGreaterThan(0);
    await expect.poll(async () => (await known()) - (await held()), { timeout: 5_000 }).toBe(0);
  });

  test('keeps the weights that an operator gave', async () => {
    const { balancer, servers } = rig();
    const backend = servers[0]!.address;
    await balancer.post('/backend', { backend, weight: 3 });
    const before = await balancer.status();
    expect(sharesOf(before)[0]).toBeCloseTo(0.75, 3);
    await withoutLoss(async () => {
      await balancer.end('SIGKILL');
      await balancer.start();
    });
    const after = await balancer.status();
    expect(sharesOf(after)).toEqual(sharesOf(before));
    expect(after.vips[0]!.slots_moved).toBe(0);
    await balancer.post('/backend', { backend, weight: null });
  });

  test('and started with another configuration serves that one, without harm to the flows of what is left out', async () => {
    const { balancer, servers } = rig();
    await withoutLoss(async () => {
      await balancer.end('SIGKILL');
      rig().configure([servers[1]!.name], still);
      await balancer.start();
      await sleep(200);
      expect((await balancer.status()).vips[0]!.backends.map(({ backend }) => backend)).toEqual([
        servers[1]!.address,
      ]);
      await balancer.end('SIGKILL');
      rig().configure(undefined, still);
      await balancer.start();
    });
    expect(sharesOf(await balancer.status())).toEqual([0.5, 0.5].map((share) => expect.closeTo(share, 3)));
  });
});

describe('a daemon that is asked to end', () => {
  test('leaves the datapath to forward until inband detach takes it down', async () => {
    const { balancer, lab } = rig();
    const flags = ['--interface', lab.lb.interface, '--pin', balancer.pin];
    const isHooked = async () =>
      /prog\/xdp/.test(await lab.exec(lab.lb, ['ip', 'link', 'show', lab.lb.interface]));
    const refused = await balancer.command('detach', ...flags).catch((error: Error) => error);
    expect(String(refused)).toContain('ALREADY_RUNNING');

    await withoutLoss(async () => {
      await balancer.end('SIGTERM');
      await sleep(200);
      await balancer.start();
    });
    expect(balancer.log.filter(({ event }) => event === 'stopped').length).toBeGreaterThan(0);
    await balancer.end('SIGTERM');
    expect(await isHooked()).toBe(true);
    expect(await balancer.command('detach', ...flags)).toBe(
      `${lab.lb.interface}: taken down, ${balancer.pin} is removed\n`,
    );
    expect(await isHooked()).toBe(false);
    expect(existsSync(balancer.pin)).toBe(false);
    expect(JSON.parse(await balancer.command('detach', ...flags, '--json'))).toEqual({
      schema: 'inband.detach/1',
      interface: lab.lb.interface,
      pin: balancer.pin,
      detached: false,
      removed: false,
    });
    await balancer.start({ flags: ['--detach'] });
    expect((await balancer.status()).datapath).toMatchObject({ adopted: false, pinned: null });
    await balancer.end('SIGTERM');
    expect(await isHooked()).toBe(false);
    await balancer.start();
  });
});

const nobody = 65_534;
const capabilities = '-all,+bpf,+net_admin,+perfmon,+net_raw';
/** What config/systemd/inband.service gives the daemon. */
const unprivileged = [
  ...['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--no-new-privs'],
  ...['inh-caps', 'ambient-caps', 'bounding-set'].map((set) => `--${set}=${capabilities}`),
];

describe('a daemon of another user than root', () => {
  test('takes over, loses nothing and detaches with four capabilities', async () => {
    const { balancer, lab } = rig();
    await balancer.end('SIGTERM');
    balancer.forget();
    for (const path of [balancer.directory, balancer.state]) chownSync(path, nobody, nobody);
    const bpffs = ownBpffs();
    chownSync(bpffs, nobody, nobody);
    const pin = join(bpffs, 'eth0');
    const options = { prefix: unprivileged, flags: ['--pin', pin] };
    await balancer.start(options);
    expect(statSync(pin)).toMatchObject({ uid: nobody });
    await withoutLoss(async () => {
      await balancer.end('SIGKILL');
      await balancer.start(options);
    });
    expect((await balancer.status()).datapath).toMatchObject({ adopted: true, pinned: pin, mode: 'native' });
    await balancer.end('SIGTERM');
    const detach = ['detach', '--interface', lab.lb.interface, '--pin', pin];
    const main = join(root, 'dist/cli/main.js');
    expect(await lab.exec(lab.lb, [...unprivileged, process.execPath, main, ...detach])).toContain(
      'taken down',
    );
    expect(existsSync(pin)).toBe(false);
    rmSync(balancer.socket, { force: true });
    await balancer.start();
  });

  test('that was root when it began checks backends, goes on when it ends, and is taken over by root', async () => {
    const { balancer } = rig();
    await balancer.end('SIGTERM');
    for (const path of [balancer.directory, balancer.state]) chownSync(path, nobody, nobody);
    rig().configure(undefined, {
      policy: 'static',
      health: { check: 'tcp', interval: '200ms', timeout: '200ms' },
    });
    const isChecked = () =>
      expect
        .poll(async () => (await balancer.status()).vips[0]!.backends.map(({ health }) => health.state), {
          timeout: 10_000,
        })
        .toEqual(['up', 'up']);
    const logged = balancer.log.length;
    await balancer.start({ flags: ['--user', 'nobody'] });
    await isChecked();
    // Checks are segments that no client sent.
    rig().configure(undefined, still);
    await balancer.end('SIGTERM');
    await balancer.start({ flags: ['--user', 'nobody'] });
    await withoutLoss(async () => {
      await balancer.end('SIGTERM');
      await balancer.start({ flags: ['--user', 'nobody'] });
    });
    expect((await balancer.status()).datapath).toMatchObject({ adopted: true, pinned: balancer.pin });
    expect(balancer.log.slice(logged).filter(({ event }) => event === 'datapath_notice')).toEqual([]);
    rmSync(balancer.socket, { force: true });
  });
});
