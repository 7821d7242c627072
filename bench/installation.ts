import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

/** The package, from where the benches are compiled to. */
const packageRoot = resolve(import.meta.dirname, '../../..');

/**
 * Makes another version of this installation in a directory: the same command under another version, with a BPF
 * program that other options of the compiler made other instructions of.
 */
export async function otherVersion(directory: string): Promise<void> {
  for (const part of ['dist', 'build/native']) {
    cpSync(join(packageRoot, part), join(directory, part), { recursive: true });
  }
  symlinkSync(join(packageRoot, 'node_modules'), join(directory, 'node_modules'));
  const about = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  writeFileSync(
    join(directory, 'package.json'),
    JSON.stringify({ ...about, version: `${about.version}-other` }),
  );
  const { bpfFlags, clang } = (await import(join(packageRoot, 'native/toolchain.mjs'))) as {
    bpfFlags(): string[];
    clang: string;
  };
  const sources = readdirSync(join(packageRoot, 'native/bpf')).filter((name) => name.endsWith('.bpf.c'));
  for (const source of sources) {
    const output = join(directory, 'build/native', basename(source).replace(/\.c$/, '.o'));
    const argv = [...bpfFlags(), '-fno-unroll-loops', '-c', join(packageRoot, 'native/bpf', source)];
    const { status, stderr } = spawnSync(clang, [...argv, '-o', output], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${source}: ${stderr}`);
  }
}
