import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InbandError } from '../errors.ts';

/** Programs of the lab that are built from `native/lab`. */
export type LabProgram = 'blast' | 'decap' | 'delay' | 'kv' | 'load' | 'reap';

const programs: readonly LabProgram[] = ['blast', 'decap', 'delay', 'kv', 'load', 'reap'];
const tools = ['ip', 'bridge', 'nsenter', 'sysctl', 'ethtool'];
const install = 'install with: apt-get install -y iproute2 ethtool util-linux procps';

/** Where commands are looked for: `PATH`, and the directories that root's `PATH` lacks on some systems. */
export const searchPath = [process.env.PATH ?? '', '/usr/sbin', '/sbin', '/usr/bin', '/bin'].join(delimiter);

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The first file of that name on the search path; undefined when there is none. */
export function findCommand(name: string): string | undefined {
  return searchPath
    .split(delimiter)
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

/** The path of one of the lab's own programs; the same from `src` and from `dist`. */
export function labProgram(name: LabProgram): string {
  return fileURLToPath(new URL(`../../build/lab/${name}`, import.meta.url));
}

/** Why a lab cannot be set up here, with the command that helps; undefined when it can. */
export function labProblem(): InbandError | undefined {
  if (process.platform !== 'linux') {
    return new InbandError('ENVIRONMENT', `the lab needs Linux, this is ${process.platform}`, {
      hint: 'run it in a Linux virtual machine',
    });
  }
  if (process.getuid?.() !== 0) {
    return new InbandError('PERMISSION', 'the lab needs root for network namespaces', {
      hint: 'run the same command with sudo',
    });
  }
  const missing = tools.filter((tool) => findCommand(tool) === undefined);
  if (missing.length > 0) {
    return new InbandError('ENVIRONMENT', `the lab needs ${missing.join(', ')}`, { hint: install });
  }
  if (!programs.every((name) => isExecutable(labProgram(name)))) {
    return new InbandError('ENVIRONMENT', "the lab's programs are not built", { hint: 'run: npm run setup' });
  }
  const probe = spawnSync('unshare', ['--net', 'true'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: searchPath },
  });
  if (probe.status !== 0) {
    const reason = probe.error?.message ?? probe.stderr.trim();
    return new InbandError('PERMISSION', `network namespaces are refused: ${reason}`, {
      hint: 'in a container, start it with --privileged',
    });
  }
  return undefined;
}
