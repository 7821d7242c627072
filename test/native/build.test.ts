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
  // As in a checkout, where a warning is an error.
  mkdirSync(join(directory, 'src'));
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
  for (const [args, code] of [[[], 0] as const, [['--strict'], 1] as const]) {
    const { status, stderr } = build(directory, env, ...args);
    expect(status).toBe(code);
    expect(stderr).toMatch(/^native part not built: clang missing; install with: .*\bclang\b.*\n$/);
  }
});

test('without clang the addon and the lab are built all the same', (context) => {
  needsBuild(context);
  const directory = copyOfNative();
  writeFileSync(join(directory, 'native/lab/tool.c'), 'int main(void) { return 0; }\n');
  build(directory, { CLANG: 'no-such-clang' });
  expect(readdirSync(join(directory, 'build/native'))).toEqual(['inband.node']);
  expect(readdirSync(join(directory, 'build/lab')).sort()).toEqual(['tool', 'tool.d']);
});

test('BPF objects that come with a package are not built again, whatever the machine lacks', (context) => {
  needsBuild(context);
  const directory = copyOfNative();
  rmSync(join(directory, 'src'), { recursive: true });
  expect(build(directory)).toEqual({ status: 0, stderr: '' });
  rmSync(join(directory, 'build/native/pass.bpf.o.d'));
  // npm gives every file of a package the same time.
  const packed = new Date('1985-10-26T08:15:00Z');
  for (const path of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    if (!path.startsWith('node_modules')) utimesSync(join(directory, path), packed, packed);
  }
  rmSync(join(directory, 'build/native/inband.node'));
  expect(build(directory, { CLANG: 'no-such-clang' })).toEqual({ status: 0, stderr: '' });
  expect(statSync(join(directory, 'build/native/pass.bpf.o')).mtimeMs).toBe(packed.getTime());
  expect(readdirSync(join(directory, 'build/native')).sort()).toEqual(['inband.node', 'pass.bpf.o']);
});

test('what warns is an error in a checkout, but not in a package', (context) => {
  needsBuild(context);
  const directory = copyOfNative();
  writeFileSync(join(directory, 'native/lab/tool.c'), 'int main(void) { int forgotten; return 0; }\n');
  expect(build(directory).status).toBe(1);
  rmSync(join(directory, 'src'), { recursive: true });
  expect(build(directory).status).toBe(0);
});

test('an error in a source is no failure of an installation', (context) => {
  needsBuild(context);
  const directory = copyOfNative();
  writeFileSync(join(directory, 'native/lab/tool.c'), 'no C\n');
  const { status, stderr } = build(directory, {}, '--optional');
  expect(status).toBe(0);
  expect(stderr).toContain('tool.c');
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
