import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { BackendsAnswer, ChangeAnswer } from '../../src/admin/answers.ts';
import { fill } from '../chaos/admin.ts';
import { unharmed, useRig } from './support.ts';

const rig = useRig();
/** Of pino. */
const warnLevel = 40;
let isMounted = false;

function mountState(...options: string[]): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', ['size=16k', ...options].join(), 'none', rig().balancer.state]);
  isMounted = true;
}

function unmountState(): void {
  if (isMounted) execFileSync('umount', ['-l', rig().balancer.state]);
  isMounted = false;
}

afterEach(unmountState);

const change = (weight: number | null) =>
  rig().balancer.post<ChangeAnswer>('/backend', { backend: rig().servers[0]!.address, weight });

const weightNow = async () =>
  (await rig().balancer.get<BackendsAnswer>('/backends')).backends.find(
    ({ backend }) => backend === rig().servers[0]!.address,
  )!.weight;

/** Ends the daemon, and starts the next one. */
async function restart(): Promise<void> {
  await rig().balancer.end('SIGTERM');
  await rig().balancer.start();
}

describe('what an operator told, and a state directory', () => {
  test('that can be written: it is kept over a restart', async () => {
    expect(await change(3)).toMatchObject({ kept: true });
    await restart();
    expect(await weightNow()).toBe(3);
  });

  test('on a full disk: it applies and is said not to be kept, until there is room', async () => {
    expect(await change(4)).toMatchObject({ kept: true });
    await unharmed(rig(), async () => {
      mountState();
      const filler = join(rig().balancer.state, 'filler');
      fill(filler);
      const refused = await change(5);
      expect(refused.kept).toBe(false);
      expect(refused.note).toMatch(/ENOSPC|no space|is full/i);
      expect(await weightNow()).toBe(5);
      rmSync(filler);
      expect(await change(6)).toMatchObject({ kept: true });
    });
    await restart();
    expect(await weightNow()).toBe(6);
  });

  test('on a full disk: what was kept before is not damaged', async () => {
    mountState();
    expect(await change(8)).toMatchObject({ kept: true });
    fill(join(rig().balancer.state, 'filler'));
    expect(await change(9)).toMatchObject({ kept: false });
    await restart();
    expect(await weightNow()).toBe(8);
  });

  test('that is read-only: the daemon starts and forwards, and says that nothing is kept', async () => {
    await rig().balancer.end('SIGTERM');
    mountState('ro');
    await rig().balancer.start();
    await unharmed(rig(), async () => {
      const refused = await change(2);
      expect(refused.kept).toBe(false);
      expect(refused.note).toMatch(/EROFS|read-only/i);
      expect(await weightNow()).toBe(2);
    });
    unmountState();
  });

  test.each([
    ['is empty', ''],
    ['is cut off', '{"schema": "inband.sta'],
    ['is of a version to come', '{"schema": "inband.overrides/99", "backends": []}'],
    ['is something else', '[1, 2, 3]'],
  ])('whose file %s: the daemon starts with what is configured, and says so once', async (_, text) => {
    const { balancer } = rig();
    await balancer.end('SIGTERM');
    rmSync(balancer.state, { recursive: true });
    await balancer.start();
    expect(await change(3)).toMatchObject({ kept: true });
    await balancer.end('SIGTERM');
    const [file, ...others] = readdirSync(balancer.state);
    expect(others).toEqual([]);
    writeFileSync(join(balancer.state, file!), text);
    const logged = balancer.log.length;
    await balancer.start();
    expect(await weightNow()).toBe(1);
    const warnings = balancer.log.slice(logged).filter(({ level }) => Number(level) >= warnLevel);
    expect(warnings).toHaveLength(1);
    expect(JSON.stringify(warnings[0])).toContain(file);
    await unharmed(rig(), async () => {
      const { kept, note } = await change(2);
      // What a version to come wrote is not destroyed.
      if (text.includes('99'))
        expect({ kept, note }).toMatchObject({ kept: false, note: expect.any(String) });
      else expect(kept).toBe(true);
    });
    expect(await weightNow()).toBe(2);
  });
});
