import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect } from 'vitest';
import { accountOf, brokenLine } from '../chaos/account.ts';
import { patienceMs, type Rest, Rig } from '../chaos/rig.ts';
import { bpffsUnavailable } from '../lab/bpffs.ts';
import { daemonUnavailable, skipAll } from '../lab/require.ts';

const unavailable = daemonUnavailable() ?? bpffsUnavailable();
/** Checks are not what these tests are about. */
export const withoutChecks: Rest = { health: { check: 'none' } };

/** A rig for all tests of a file, with a daemon that runs; every test skips with the reason where there can be none. */
export function useRig(rest: Rest = withoutChecks): () => Rig {
  let rig: Rig | undefined;
  skipAll(unavailable);
  beforeAll(async () => {
    if (unavailable) return;
    rig = await Rig.up({ servers: 2 });
    rig.configure(undefined, rest);
    await rig.start();
  });
  afterAll(() => rig?.down());
  return () => rig!;
}

/** Load while something happens, and a moment longer; no connection may break. */
export async function unharmed<T>(rig: Rig, happen: () => Promise<T>): Promise<T> {
  const originNs = Number(process.hrtime.bigint());
  const before = await rig.wire();
  rig.startLoad({ connections: 8, thinkUs: 500 });
  try {
    await sleep(200);
    const result = await happen();
    await sleep(300);
    const account = accountOf(await rig.endLoad(), [], patienceMs * 1e6);
    expect(account.unexcused.map((broken) => brokenLine(broken, originNs))).toEqual([]);
    expect(account.opened).toBeGreaterThanOrEqual(16);
    expect(account.answered).toBeGreaterThan(0);
    expect((await rig.wire()).resets).toEqual(before.resets);
    return result;
  } finally {
    await rig.endLoad();
  }
}
