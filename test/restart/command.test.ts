import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { hookHolder } from '../../src/datapath/xdp/native.ts';
import { exitCode } from '../../src/errors.ts';
import { inbandAbi } from '../../src/generated/layout.ts';
import { inband } from '../cli/inband.ts';
import { enterLab, needsXdp, temporaryDirectory } from '../native/support.ts';
import { interfaceNamed, leaveRunning, needsBpffs, pinDirectory, tinyObject } from './support.ts';

beforeEach(needsXdp);
beforeEach(needsBpffs);

/** `inband run` on lb0, which is expected to end by itself. */
function run(...flags: string[]) {
  const files = temporaryDirectory();
  const pool = ['--vip', '10.0.0.1:80/tcp', '--backend', '10.1.0.1'];
  const paths = ['--socket', join(files, 'socket'), '--state', join(files, 'state')];
  return inband(['run', '--interface', 'lb0', ...pool, ...paths, '--datapath', 'xdp', ...flags]);
}

test('pins of another ABI: run says which, and how to take them down; detach does, and what ran goes on until then', async () => {
  enterLab();
  const directory = pinDirectory();
  leaveRunning(directory, tinyObject(inbandAbi.abi - 1), 'lb0');
  const holder = hookHolder(interfaceNamed('lb0'));
  const refused = await run('--pin', directory);
  expect(refused.code).toBe(exitCode.abiMismatch);
  const detach = `inband detach --interface lb0 --pin ${directory}`;
  expect(refused.stderr).toBe(
    `inband: lb0: a load balancer is pinned there whose program has ABI ${inbandAbi.abi - 1}, this version ABI ${inbandAbi.abi} [ABI_MISMATCH]\n` +
      `hint: it goes on to forward by its last table; run the version that started it, or take it down, which ends its flows: ${detach}\n`,
  );
  expect(hookHolder(interfaceNamed('lb0'))).toEqual(holder);

  const done = await inband(detach.split(' ').slice(1));
  expect(done).toEqual({ code: 0, stdout: `lb0: taken down, ${directory} is removed\n`, stderr: '' });
  expect(hookHolder(interfaceNamed('lb0'))).toBeUndefined();
  const again = await inband(detach.split(' ').slice(1));
  expect(again).toEqual({ code: 0, stdout: `lb0: nothing runs from ${directory}\n`, stderr: '' });
});

test('a directory that takes no pins, or holds something else, is refused and left as it is', async () => {
  enterLab();
  const plain = temporaryDirectory();
  const outside = await run('--pin', plain);
  expect(outside.code).toBe(exitCode.environment);
  expect(outside.stderr).toBe(
    `inband: --pin: ${plain} is not in a bpf file system [ENVIRONMENT]\n` +
      'hint: give a directory under /sys/fs/bpf, which is mounted by: mount -t bpf bpf /sys/fs/bpf\n',
  );
  expect(existsSync(plain)).toBe(true);
  expect((await inband(['detach', '--interface', 'lb0', '--pin', plain])).code).toBe(exitCode.environment);
  expect(existsSync(plain)).toBe(true);

  const foreign = pinDirectory();
  mkdirSync(join(foreign, 'theirs'), { recursive: true });
  const taken = await run('--pin', foreign);
  expect(taken.code).toBe(exitCode.environment);
  expect(taken.stderr).toBe(
    `inband: --pin: ${foreign} holds 'theirs', which is not of inband [ENVIRONMENT]\n` +
      `hint: give a directory of its own: --pin ${foreign}/inband\n`,
  );
  expect(existsSync(join(foreign, 'theirs'))).toBe(true);
  expect(hookHolder(interfaceNamed('lb0'))).toBeUndefined();
});

test('detach wants an interface', async () => {
  const { code, stderr } = await inband(['detach']);
  expect(code).toBe(exitCode.usage);
  expect(stderr).toMatch(/^inband: required option '--interface <NAME>' not specified \[USAGE\]\n/);
});
