import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished, type TestContext } from 'vitest';
import { nativeDirectory } from '../../src/datapath/xdp/addon.ts';
import { probeXdp } from '../../src/datapath/xdp/capabilities.ts';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const selftest = `${nativeDirectory}selftest.bpf.o`;

const isInstalled = (command: string) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

/** Builds the native part if it is not fresh. @returns why that is impossible here, or undefined. */
function buildNative(): string | undefined {
  const { status, stderr } = spawnSync(process.execPath, [`${root}native/build.mjs`], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`native/build.mjs failed:\n${stderr}`);
  return stderr === '' ? undefined : stderr.trim();
}

const once = (find: () => string | undefined) => {
  let found: { reason: string | undefined } | undefined;
  return (context: TestContext): void => {
    found ??= { reason: find() };
    if (found.reason) context.skip(found.reason);
  };
};

/** Skips the test, with the reason, where the native part cannot be built. */
export const needsBuild = once(buildNative);

/** Skips the test, with the reason, where XDP programs cannot be built or loaded. */
export const needsXdp = once(() => {
  const unbuilt = buildNative();
  if (unbuilt) return unbuilt;
  try {
    probeXdp();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
});

/** Skips the test where there is no clang. */
export function needsClang(context: TestContext): void {
  if (!isInstalled(process.env.CLANG ?? 'clang')) context.skip('clang is not installed');
}

/** A directory that is removed after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'inband-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Calls a function of TypeScript that must throw, and gives what it threw. */
export function thrownBy(call: () => unknown): Error & { code?: string; hint?: string } {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

export const ip = (...args: string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });
export const ipJson = (...args: string[]) => JSON.parse(ip('-j', ...args) || '[]');

let setns: ((path: string) => boolean) | undefined;

function loadSetns(): (path: string) => boolean {
  const directory = temporaryDirectory();
  const require = createRequire(import.meta.url);
  const include = require('node-api-headers').include_dir;
  const output = join(directory, 'setns.node');
  execFileSync('cc', ['-shared', '-fPIC', '-isystem', include, `${root}test/native/setns.c`, '-o', output]);
  return require(output).setns;
}

let namespaces = 0;

/**
 * Two network namespaces, with `lb0` in the first one and its veth peer `peer0` in the second, both up. The test's own
 * thread is in the first until the test ends, as the addon acts where its caller is. Both are then removed.
 */
export function enterLab(): { name: string; peer: string } {
  const name = `inband-t${process.pid}-${namespaces++}`;
  const peer = `${name}-peer`;
  setns ??= loadSetns();
  const enter = setns;
  for (const namespace of [name, peer]) {
    ip('netns', 'add', namespace);
    onTestFinished(() => {
      ip('netns', 'del', namespace);
    });
  }
  ip('-n', name, 'link', 'add', 'lb0', 'type', 'veth', 'peer', 'name', 'peer0', 'netns', peer);
  ip('-n', name, 'link', 'set', 'lb0', 'up');
  ip('-n', peer, 'link', 'set', 'peer0', 'up');
  if (!enter(`/run/netns/${name}`)) throw new Error(`cannot enter ${name}`);
  onTestFinished(() => {
    if (!enter(`/proc/${process.ppid}/ns/net`))
      throw new Error('cannot return to the namespace of the test runner');
  });
  return { name, peer };
}
