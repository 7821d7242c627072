import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { paths } from './paths.mjs';

export const clang = process.env.CLANG ?? 'clang';
export const cc = process.env.CC ?? 'cc';

const probe = (compiler, args, source) =>
  spawnSync(compiler, [...args, '-E', '-x', 'c', '-o', '/dev/null', '-'], { input: source, stdio: 'pipe' })
    .status === 0;

/** What this machine lacks for the native part, by the names people know; empty when nothing does. */
export function missingTools() {
  if (process.platform !== 'linux') return ['Linux'];
  const missing = [];
  if (!probe(clang, ['-target', 'bpf'], '')) missing.push('clang');
  if (!probe(cc, [], '#include <stdlib.h>')) missing.push('a C compiler');
  else if (!probe(cc, [], '#include <bpf/libbpf.h>\n#if LIBBPF_MAJOR_VERSION < 1\n#error\n#endif'))
    missing.push('libbpf 1.0 or later');
  return missing;
}

/** The command that installs everything the native part is built with. */
export function installCommand() {
  if (existsSync('/usr/bin/dnf')) return 'dnf install clang gcc libbpf-devel kernel-headers';
  if (existsSync('/sbin/apk')) return 'apk add clang gcc musl-dev libbpf-dev linux-headers';
  return 'apt-get install -y clang gcc libc6-dev libbpf-dev';
}

/**
 * Options that compile a BPF object. CPU v3 is the newest instruction set that clang 14 knows; it has atomics, 32-bit
 * jumps, and every kernel from 5.12 on takes it. The host's include directories come last: `-target bpf` does not
 * search the one of the architecture, where <asm/types.h> is.
 */
export function bpfFlags() {
  const found = spawnSync(clang, ['-v', '-E', '-x', 'c', '/dev/null'], { encoding: 'utf8' }).stderr;
  const list = found.slice(found.indexOf('<...> search starts here'), found.indexOf('End of search list'));
  const system = list.split('\n').filter((line) => line.startsWith(' /'));
  const options = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-Wall', '-Werror', '-I', paths.include];
  return [...options, ...system.flatMap((line) => ['-idirafter', line.trim()])];
}

/** Options that compile and link the addon. libbpf is linked dynamically: Debian's static one is not position independent. */
export function addonFlags() {
  const headers = createRequire(import.meta.url)('node-api-headers').include_dir;
  const options = [
    '-shared',
    '-fPIC',
    '-O2',
    '-g1',
    '-std=gnu11',
    '-fvisibility=hidden',
    '-Wall',
    '-Wextra',
    '-Werror',
  ];
  return { before: [...options, '-isystem', headers], after: ['-lbpf'] };
}

/** Standard output of a compiler that is fed `source`; throws with what the compiler said. */
export const compileText = (compiler, args, source) =>
  execFileSync(compiler, [...args, '-x', 'c', '-o', '-', '-'], {
    input: source,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
