import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { paths } from './paths.mjs';

export const clang = process.env.CLANG ?? 'clang';
export const cc = process.env.CC ?? 'cc';

const probe = (compiler, args, source) =>
  spawnSync(compiler, [...args, '-E', '-x', 'c', '-o', '/dev/null', '-'], { input: source, stdio: 'pipe' })
    .status === 0;

/** What the native part is built with. The lab needs `cc` only, the addon `cc` and `libbpf`, BPF objects `clang` and `libbpf`. */
export const tools = ['clang', 'cc', 'libbpf'];

const known = {
  clang: { name: 'clang', isThere: () => probe(clang, ['-target', 'bpf'], '') },
  cc: { name: 'a C compiler', isThere: () => probe(cc, [], '#include <stdlib.h>') },
  libbpf: {
    name: 'libbpf 1.0 or later',
    isThere: () => probe(cc, [], '#include <bpf/libbpf.h>\n#if LIBBPF_MAJOR_VERSION < 1\n#error\n#endif'),
  },
};

/** What of `needed` this machine lacks. Whether libbpf is there only a C compiler can tell. */
export function lacking(needed) {
  const missing = needed.filter((tool) => tool !== 'libbpf' && !known[tool].isThere());
  if (!needed.includes('libbpf')) return missing;
  if (!known.cc.isThere()) return missing.includes('cc') ? missing : [...missing, 'cc'];
  return known.libbpf.isThere() ? missing : [...missing, 'libbpf'];
}

/** What this machine lacks for the native part, or what of it needs `needed`, by the names people know. */
export function missingTools(needed = tools) {
  if (process.platform !== 'linux') return ['Linux'];
  return lacking(needed).map((tool) => known[tool].name);
}

const packages = {
  dnf: { clang: ['clang'], cc: ['gcc'], libbpf: ['libbpf-devel', 'kernel-headers'] },
  apk: { clang: ['clang'], cc: ['gcc', 'musl-dev'], libbpf: ['libbpf-dev', 'linux-headers'] },
  apt: { clang: ['clang'], cc: ['gcc', 'libc6-dev'], libbpf: ['libbpf-dev'] },
};

/** The command that installs what the native part, or what of it needs `needed`, is built with. */
export function installCommand(needed = tools) {
  const list = (manager) => needed.flatMap((tool) => packages[manager][tool]).join(' ');
  if (existsSync('/usr/bin/dnf')) return `dnf install ${list('dnf')}`;
  if (existsSync('/sbin/apk')) return `apk add ${list('apk')}`;
  return `apt-get install -y ${list('apt')}`;
}

/** A warning is an error where the sources are worked on; another compiler's are no reason to go without. */
const warnings = ['-Wall', '-Wextra', ...(existsSync(paths.sources) ? ['-Werror'] : [])];

/**
 * Options that compile a BPF object. CPU v3 is the newest instruction set that clang 14 knows; it has atomics, 32-bit
 * jumps, and every kernel from 5.12 on takes it. The host's include directories come last: `-target bpf` does not
 * search the one of the architecture, where <asm/types.h> is.
 */
export function bpfFlags() {
  const found = spawnSync(clang, ['-v', '-E', '-x', 'c', '/dev/null'], { encoding: 'utf8' }).stderr;
  const list = found.slice(found.indexOf('<...> search starts here'), found.indexOf('End of search list'));
  const system = list.split('\n').filter((line) => line.startsWith(' /'));
  const options = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-Wall', '-I', paths.include];
  if (warnings.includes('-Werror')) options.push('-Werror');
  return [...options, ...system.flatMap((line) => ['-idirafter', line.trim()])];
}

/** Options that compile and link the addon. libbpf is linked dynamically: Debian's static one is not position independent. */
export function addonFlags() {
  const headers = createRequire(import.meta.url)('node-api-headers').include_dir;
  const options = ['-shared', '-fPIC', '-O2', '-g1', '-std=gnu11', '-fvisibility=hidden', ...warnings];
  return { before: [...options, '-isystem', headers], after: ['-lbpf'] };
}

/** Options that compile a program of the lab, before its source and after it. */
export const labFlags = {
  before: ['-O2', '-std=gnu11', ...warnings, '-I', paths.include],
  after: ['-lm', '-lpthread'],
};

/** Standard output of a compiler that is fed `source`; throws with what the compiler said. */
export const compileText = (compiler, args, source) =>
  execFileSync(compiler, [...args, '-x', 'c', '-o', '-', '-'], {
    input: source,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
