import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { needsBuild, root, temporaryDirectory } from './support.ts';

/** A copy of the package's native part, without what others add to it, that nothing was built in yet. */
function copyOfNative(): string {
  const directory = temporaryDirectory();
  for (const part of ['build.mjs', 'paths.mjs', 'toolchain.mjs', 'addon', 'bpf/pass.bpf.c']) {
    cpSync(`${root}native/${part}`, join(directory, 'native', part), { recursive: true });
  }
  for (const part of ['include', 'lab']) mkdirSync(join(directory, 'native', part));
  symlinkSync(`${root}node_modules`, join(directory, 'node_modules'));
  return directory;
}

function build(directory: string, env: Record<string, string> = {}, ...args: string[]) {
  const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(directory, 'native/build.mjs'), ...args],
    options,
  );
  return { status, stderr };
}

test('without clang one line says what to install, and only --strict makes it a failure', () => {
  const directory = copyOfNative();
  const env = { CLANG: 'no-such-clang' };
  const { status, stderr } = build(directory, env);
  expect(status).toBe(0);
  expect(stderr).toMatch(/^native part not built: clang.* missing; install with: .*\bclang\b.*\n$/);
  expect(build(directory, env, '--strict')).toEqual({ status: 1, stderr });
});

test('without a C compiler it says so too', () => {
  expect(build(copyOfNative(), { CC: 'no-such-cc' }).stderr).toMatch(
    /^native part not built: .*a C compiler missing; .*\n$/,
  );
});

test('builds everything, then nothing, then only what a change concerns', (context) => {
  needsBuild(context);
  const directory = copyOfNative();
  const at = (path: string) => join(directory, path);
  writeFileSync(at('native/include/lab.h'), '#define STATUS 0\n');
  writeFileSync(at('native/lab/tool.c'), '#include "lab.h"\nint main(void) { return STATUS; }\n');
  expect(build(directory)).toEqual({ status: 0, stderr: '' });

  const outputs = ['build/native/inband.node', 'build/native/pass.bpf.o', 'build/lab/tool'];
  const times = () => outputs.map((output) => statSync(at(output)).mtimeMs);
  const first = times();
  // Without compilers, as nothing is to be compiled.
  expect(build(directory, { CC: 'no-such-cc', CLANG: 'no-such-clang' })).toEqual({ status: 0, stderr: '' });
  expect(times()).toEqual(first);

  const later = new Date(Date.now() + 1000);
  utimesSync(at('native/include/lab.h'), later, later);
  build(directory);
  const [addon, pass, tool] = times();
  expect([addon, pass]).toEqual(first.slice(0, 2));
  expect(tool).toBeGreaterThan(first[2]!);

  utimesSync(at('native/addon/addon.h'), later, later);
  build(directory);
  expect(times()[0]).toBeGreaterThan(first[0]!);
  expect(times()[1]).toBe(first[1]);
});

test('an error in a source is a failure, and the other outputs and the old one stay', (context) => {
  needsBuild(context);
  const directory = copyOfNative();
  const source = join(directory, 'native/bpf/broken.bpf.c');
  writeFileSync(source, 'int unused_result(void) { int forgotten; return 0; }\n');
  const { status, stderr } = build(directory);
  expect(status).toBe(1);
  expect(stderr).toMatch('unused variable');
  const built = () =>
    readdirSync(join(directory, 'build/native'))
      .filter((name) => !name.endsWith('.d'))
      .sort();
  expect(built()).toEqual(['inband.node', 'pass.bpf.o']);
  rmSync(source);
  expect(build(directory)).toEqual({ status: 0, stderr: '' });
});
