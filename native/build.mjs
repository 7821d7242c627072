import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { paths } from './paths.mjs';
import {
  addonFlags,
  bpfFlags,
  cc,
  clang,
  installCommand,
  labFlags,
  lacking,
  missingTools,
} from './toolchain.mjs';

/**
 * Builds the native part: BPF objects, the addon and the programs of the lab. Rebuilds what is older than a source; a
 * package has BPF objects built already.
 *
 * What it has no compilers for it leaves out, says in one line what to install and exits 0, as everything but the xdp
 * datapath works without; with `--strict` it exits 1. An error in the sources exits 1, but never with `--optional`, by
 * which a package is installed whatever the compiler says.
 */

const scripts = ['build.mjs', 'paths.mjs', 'toolchain.mjs'].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
);

const sources = (directory, suffix) => {
  const names = statSync(directory, { throwIfNoEntry: false }) ? readdirSync(directory) : [];
  return names.filter((name) => name.endsWith(suffix)).map((name) => join(directory, name));
};

/** Everything to build: where it goes, from what, and the compiler with its arguments, found out only when needed. */
function targets() {
  const bpf = [
    [paths.bpf, paths.nativeOut],
    [paths.bench, paths.benchOut],
  ].flatMap(([from, to]) =>
    sources(from, '.bpf.c').map((source) => ({
      output: join(to, basename(source).replace(/\.c$/, '.o')),
      inputs: [source],
      needs: ['clang', 'libbpf'],
      command: () => [clang, ...bpfFlags(), '-c', source],
    })),
  );
  const lab = sources(paths.lab, '.c').map((source) => ({
    output: join(paths.labOut, basename(source, '.c')),
    inputs: [source],
    needs: ['cc'],
    command: () => [cc, ...labFlags.before, source, ...labFlags.after],
  }));
  const units = sources(paths.addon, '.c');
  const addon = {
    output: join(paths.nativeOut, 'inband.node'),
    inputs: [...units, ...sources(paths.addon, '.h')],
    needs: ['cc', 'libbpf'],
    command: () => [cc, ...addonFlags().before, ...units, ...addonFlags().after],
  };
  return [...bpf, ...lab, addon];
}

const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;

/** Every file that went into `output` besides its inputs, as the compiler noted down when it was built. */
function headersOf(target) {
  const noted =
    statSync(`${target.output}.d`, { throwIfNoEntry: false }) && readFileSync(`${target.output}.d`, 'utf8');
  if (!noted) return [];
  return noted
    .slice(noted.indexOf(':') + 1)
    .split(/[\s\\]+/)
    .filter((path) => path !== '');
}

function isStale(target) {
  const built = statSync(target.output, { throwIfNoEntry: false })?.mtimeMs;
  if (built === undefined) return true;
  return [...target.inputs, ...scripts, ...headersOf(target)].some((path) => modified(path) > built);
}

/**
 * Builds one target; resolves to whether that worked. The result is renamed into place, as a process may be running
 * the old one and another build may be under way.
 */
async function build(target) {
  const partial = `${target.output}.${process.pid}`;
  const [compiler, ...args] = target.command();
  // One translation unit has one list of headers; several in one call would overwrite each other's.
  const notes = target.inputs.length === 1 ? ['-MMD', '-MF', `${partial}.d`] : [];
  const child = spawn(compiler, [...args, ...notes, '-o', partial], { stdio: 'inherit' });
  const status = await new Promise((resolve) => child.once('close', resolve));
  if (status !== 0) {
    for (const path of [partial, `${partial}.d`]) rmSync(path, { force: true });
    return false;
  }
  if (notes.length > 0) renameSync(`${partial}.d`, `${target.output}.d`);
  renameSync(partial, target.output);
  return true;
}

const has = (flag) => process.argv.includes(flag);
const stale = targets().filter(isStale);
const needed = [...new Set(stale.flatMap(({ needs }) => needs))];
const missing = missingTools(needed);
if (missing.length > 0) {
  const install = missing.includes('Linux')
    ? 'the replay datapath works without'
    : `install with: ${installCommand(needed)}`;
  console.error(`native part not built: ${missing.join(', ')} missing; ${install}`);
  if (has('--strict')) process.exitCode = 1;
}
if (process.platform === 'linux') {
  const absent = lacking(needed);
  const possible = stale.filter(({ needs }) => !needs.some((tool) => absent.includes(tool)));
  for (const { output } of possible) mkdirSync(dirname(output), { recursive: true });
  const built = await Promise.all(possible.map(build));
  if (built.includes(false) && !has('--optional')) process.exitCode = 1;
}
