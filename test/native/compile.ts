import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './support.ts';

const include = `${execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim()}-linux-gnu`;

/** Compiles BPF programs, given without includes and licence; the object is removed after the test. */
export function compileBpf(programs: string): string {
  const source = join(temporaryDirectory(), 'test.bpf.c');
  const object = source.replace(/\.c$/, '.o');
  const head = '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n';
  writeFileSync(source, `${head}${programs}\nchar _license[] SEC("license") = "GPL";\n`);
  const flags = ['-O2', '-g', '-target', 'bpf', '-idirafter', `/usr/include/${include}`];
  execFileSync(process.env.CLANG ?? 'clang', [...flags, '-c', source, '-o', object]);
  return object;
}
