import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from './balancer.ts';

/** The package; where benches are compiled to there are only links to what is built. */
const root = () => dirname(realpathSync(join(packageRoot, 'dist')));

/** What differs in another installation. */
export interface Difference {
  /** Layout of what daemon and kernel share. */
  readonly abi?: number;
}

interface Toolchain {
  bpfFlags(): string[];
  readonly clang: string;
}

function replaceIn(file: string, from: RegExp, to: string): void {
  const text = readFileSync(file, 'utf8');
  if (!from.test(text)) throw new Error(`${file} does not have ${from}`);
  writeFileSync(file, text.replace(from, to));
}

/**
 * Makes another version of this installation in an empty directory: the same command under another version, with a BPF
 * program that other options of the compiler made other instructions of.
 */
export async function otherVersion(directory: string, { abi }: Difference = {}): Promise<void> {
  for (const part of ['dist', 'build/native', 'native/bpf', 'native/include']) {
    cpSync(join(root(), part), join(directory, part), { recursive: true });
  }
  symlinkSync(join(root(), 'node_modules'), join(directory, 'node_modules'));
  const about = JSON.parse(readFileSync(join(root(), 'package.json'), 'utf8')) as { version: string };
  writeFileSync(
    join(directory, 'package.json'),
    JSON.stringify({ ...about, version: `${about.version}-other` }),
  );
  if (abi !== undefined) {
    replaceIn(join(directory, 'native/include/inband.h'), /\bINBAND_ABI = \d+/, `INBAND_ABI = ${abi}`);
    replaceIn(join(directory, 'dist/generated/layout.js'), /\babi: \d+/, `abi: ${abi}`);
  }
  const { bpfFlags, clang } = (await import(join(root(), 'native/toolchain.mjs'))) as Toolchain;
  const source = join(directory, 'native/bpf/inband.bpf.c');
  const output = join(directory, 'build/native/inband.bpf.o');
  const include = ['-I', join(directory, 'native/include')];
  // Other instructions that the kernel takes as long to verify.
  const options = ['-mllvm', '-enable-gvn-hoist'];
  const argv = [...include, ...bpfFlags(), ...options, '-c', source, '-o', output];
  const { status, stderr } = spawnSync(clang, argv, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${source}: ${stderr}`);
}
