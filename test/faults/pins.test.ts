import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exitCode } from '../../src/errors.ts';
import { inbandAbi } from '../../src/generated/layout.ts';
import { otherVersion } from '../chaos/installation.ts';
import { unharmed, useRig, withoutChecks } from './support.ts';

const rig = useRig();
let other: string | undefined;
/** Made when it is needed, as it is compiled. */
let older: string | undefined;

beforeAll(async () => {
  if (!rig()) return;
  [other, older] = ['other', 'older'].map((name) => mkdtempSync(join(tmpdir(), `inband-${name}-`)));
  await otherVersion(other!);
  await otherVersion(older!, { abi: inbandAbi.abi - 1 });
});
afterAll(() => {
  for (const directory of [other, older]) if (directory) rmSync(directory, { recursive: true, force: true });
});

const detach = () => {
  const { balancer, lab } = rig();
  return balancer.command('detach', '--interface', lab.lb.interface, '--pin', balancer.pin);
};

describe('a daemon that finds what another one left', () => {
  test('takes it over from another version of the same layout, and gives it back', async () => {
    const { balancer } = rig();
    await unharmed(rig(), async () => {
      await balancer.end('SIGTERM');
      await balancer.start({ installation: other! });
      expect((await balancer.status()).datapath.adopted).toBe(true);
      await balancer.end('SIGKILL');
      await balancer.start();
      expect((await balancer.status()).datapath.adopted).toBe(true);
    });
  });

  test('does not touch what has an older layout, which goes on to forward until it is taken down', async () => {
    const { balancer } = rig();
    await balancer.end('SIGTERM');
    await detach();
    await balancer.start({ installation: older! });
    await unharmed(rig(), async () => {
      await balancer.end('SIGTERM');
      const { code, error } = await balancer.refused();
      expect({ code, error: error.code }).toEqual({ code: exitCode.abiMismatch, error: 'ABI_MISMATCH' });
      expect(error.hint).toContain('inband detach');
    });
    await unharmed(rig(), async () => {
      await balancer.start({ installation: older! });
      expect((await balancer.status()).datapath.adopted).toBe(true);
    });
    await balancer.end('SIGTERM');
    await detach();
    expect(existsSync(balancer.pin)).toBe(false);
    await balancer.start();
    expect((await balancer.status()).datapath.adopted).toBe(false);
    await unharmed(rig(), async () => {});
  });

  test.each([
    ['fewer slots', { slots: 4_099 }],
    ['more flows', { flows: 2_000_000 }],
    ['fewer flows', { flows: 10_000 }],
    ['another estimator', { estimator: 'ensemble' }],
    ['another policy', { policy: 'static' }],
    ['tables that do not depend on the past', { table: 'stateless' }],
    ['a longer tick', { tick: '10ms' }],
  ])('keeps all flows when it is configured with %s than the one before', async (_, settings) => {
    const { balancer } = rig();
    await unharmed(rig(), async () => {
      await balancer.end('SIGKILL');
      rig().configure(undefined, { ...withoutChecks, ...settings });
      await balancer.start();
      expect((await balancer.status()).datapath.adopted).toBe(true);
      await balancer.end('SIGTERM');
      rig().configure(undefined, withoutChecks);
      await balancer.start();
    });
  });

  test('serves what is configured now, and flows of what is not any more', async () => {
    const { balancer, servers } = rig();
    await unharmed(rig(), async () => {
      await balancer.end('SIGKILL');
      rig().configure([servers[0]!.name], withoutChecks);
      await balancer.start();
      const { vips } = await balancer.status();
      expect(vips[0]!.backends.map(({ backend }) => backend)).toEqual([servers[0]!.address]);
      await balancer.end('SIGKILL');
      rig().configure();
      await balancer.start();
    });
    expect((await balancer.status()).vips[0]!.backends).toHaveLength(2);
  });
});
