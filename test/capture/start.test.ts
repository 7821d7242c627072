import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync, writeFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import type { DemoResult } from '../../src/demo/result.ts';
import { main } from '../cli/inband.ts';
import { skipAll } from '../lab/require.ts';
import { captureUnavailable } from './require.ts';

/** Why a machine on which BPF is refused cannot be had here; undefined when it can. */
function unavailable(): string | undefined {
  const lacking = captureUnavailable();
  if (lacking !== undefined) return lacking;
  const { status, stderr } = spawnSync('unshare', ['--user', '--map-root-user', 'true'], {
    encoding: 'utf8',
  });
  return status === 0 ? undefined : `no user namespaces: ${stderr.trim()}`;
}

skipAll(unavailable());

/**
 * Runs a command as root of a user namespace, as in a container without rights on its host: it may set up networks and
 * capture there, and BPF is refused.
 */
async function withoutBpf(
  argv: readonly string[],
): Promise<{ stdout: string; stderr: string; code: number | null }> {
  const enter =
    'read -r go; exec setpriv --reuid=0 --regid=0 --clear-groups sh -c \'mount -t tmpfs none /run/netns && exec "$@"\' sh "$@"';
  const child = spawn(
    'unshare',
    ['--user', '--keep-caps', '--mount', '--net', 'bash', '-c', enter, 'bash', ...argv],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      output[stream] += text;
    });
  }
  const closed = once(child, 'close');
  const namespace = (pid: number | 'self') => readlinkSync(`/proc/${pid}/ns/user`);
  await vi.waitFor(() => expect(namespace(child.pid!)).not.toBe(namespace('self')), {
    timeout: 5_000,
    interval: 10,
  });
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${child.pid}/${map}`, '0 0 65536');
  child.stdin.end('\n');
  const [code] = (await closed) as [number | null];
  return { ...output, code };
}

test('where BPF is refused the demo captures', { timeout: 60_000 }, async () => {
  const { stdout, stderr, code } = await withoutBpf([
    process.execPath,
    main,
    'demo',
    '--json',
    '--duration',
    '6s',
  ]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const { runs } = JSON.parse(stdout) as DemoResult;
  expect(runs.map(({ datapath }) => datapath)).toEqual(['capture l2', 'capture l2']);
  for (const { requests, errors } of runs) {
    expect(requests).toBeGreaterThan(100);
    expect(errors).toBe(0);
  }
});
