import { existsSync, mkdirSync, readdirSync, rmdirSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { InbandError } from '../../errors.ts';
import { isNativeError } from './addon.ts';
import { XdpLink } from './link.ts';
import type { BpfObject } from './native.ts';
import { pinsHint } from './native-error.ts';
import { interfaces } from './neighbours.ts';

/**
 * Where a load balancer that outlives its process is found again. A pin directory holds `link`, what attaches the program
 * to its interface, and a directory per generation with the `program` and its maps. A new generation is pinned whole
 * before the link turns to it, and the one before removed afterwards: whichever one holds the link's program counts, and
 * every other is what a crash left.
 */

/** Where pin directories are unless one is named. */
export const pinRoot = '/sys/fs/bpf/inband';
/** The type of a bpf file system (linux/magic.h). */
const bpffsMagic = 0xcafe4a11;
/** Set-up takes far less; what has no link after this time was never finished. */
const unfinishedMs = 60_000;

const linkName = 'link';
const programName = 'program';
const isGeneration = (name: string): boolean => /^[1-9]\d{0,8}$/.test(name);

/** In bpffs dots are not for names. `.rodata` is pinned as `rodata`. */
export const pinNameOf = (map: string): string => map.replace(/^\./, '');

export const linkPath = (directory: string): string => join(directory, linkName);
export const programPath = (directory: string, generation: number): string =>
  join(directory, String(generation), programName);

/**
 * The directory of an interface in this network namespace, unless one is named: by the interface's name, or where it was
 * pinned under another name that it had.
 */
export function pinDirectoryOf(interfaceName: string): string {
  const name = interfaceName.replace(/[%.]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
  const own = join(pinRoot, `${name}${namespaceSuffix()}`);
  if (existsSync(own) || !existsSync(pinRoot)) return own;
  const index = interfaces().find((one) => one.name === interfaceName)?.index;
  return (index !== undefined && findPinDirectory(index)) || own;
}

const namespaceSuffix = (): string => `-${statSync('/proc/self/ns/net').ino}`;

/**
 * Whether pins can be made in a directory, which need not be there yet.
 * @throws InbandError `PERMISSION` when this process may not look there
 */
export function isInBpffs(directory: string): boolean {
  let path = resolve(directory);
  while (!existsSync(path)) path = dirname(path);
  return withFiles(path, () => statfsSync(path)).type === bpffsMagic;
}

function checkBpffs(directory: string): void {
  if (isInBpffs(directory)) return;
  throw new InbandError('ENVIRONMENT', `--pin: ${directory} is not in a bpf file system`, {
    hint: 'give a directory under /sys/fs/bpf, which is mounted by: mount -t bpf bpf /sys/fs/bpf',
  });
}

/**
 * Makes a pin directory that only its owner reads.
 * @throws InbandError `ENVIRONMENT` outside of bpffs or when it holds something else, `PERMISSION`
 */
export function makePinDirectory(directory: string): void {
  checkBpffs(directory);
  withFiles(directory, () => mkdirSync(directory, { recursive: true, mode: 0o700 }));
}

/**
 * Numbers of generations that a directory has, ascending, and whether it has a link; undefined when it is not there.
 * @throws InbandError `ENVIRONMENT` when it is no directory in bpffs, or holds what no load balancer puts there
 */
export function readPinDirectory(directory: string): { generations: number[]; hasLink: boolean } | undefined {
  if (!existsSync(directory)) return undefined;
  checkBpffs(directory);
  const names = withFiles(directory, () => readdirSync(directory));
  const foreign = names.find((name) => name !== linkName && !isGeneration(name));
  if (foreign !== undefined) {
    throw new InbandError('ENVIRONMENT', `--pin: ${directory} holds '${foreign}', which is not of inband`, {
      hint: `give a directory of its own: --pin ${join(directory, 'inband')}`,
    });
  }
  const generations = names.filter((name) => name !== linkName).map(Number);
  return { generations: generations.sort((a, b) => a - b), hasLink: names.includes(linkName) };
}

/** Names of the maps that a generation has pinned. */
export const pinnedMapNames = (directory: string, generation: number): string[] =>
  withFiles(directory, () => readdirSync(join(directory, String(generation)))).filter(
    (name) => name !== programName,
  );

/** Pins the program and maps of an object as a generation. What was pinned is removed again when it fails. */
export function pinGeneration(
  directory: string,
  generation: number,
  object: BpfObject,
  program: string,
  maps: Iterable<string>,
): void {
  const path = join(directory, String(generation));
  removeGeneration(directory, generation);
  withFiles(path, () => mkdirSync(path, { mode: 0o700 }));
  try {
    for (const map of maps) object.pinMap(map, join(path, pinNameOf(map)));
    object.pinProgram(program, join(path, programName));
  } catch (error) {
    removeGeneration(directory, generation);
    throw error;
  }
}

/** Pins a link in place of the one before. */
export function pinLink(directory: string, link: XdpLink): void {
  const path = linkPath(directory);
  if (existsSync(path)) withFiles(path, () => unlinkSync(path));
  link.pin(path);
}

export const removeGeneration = (directory: string, generation: number): void =>
  removeFlat(join(directory, String(generation)));

/**
 * Removes a pin directory with all that is in it, the link first: without it, what a crash in here leaves is what an
 * unfinished set-up leaves. A directory above that is then empty stays.
 */
export function removePins(directory: string): void {
  const found = readPinDirectory(directory);
  if (!found) return;
  withFiles(directory, () => {
    if (found.hasLink) unlinkSync(linkPath(directory));
  });
  for (const generation of found.generations) removeGeneration(directory, generation);
  withFiles(directory, () => rmdirSync(directory));
}

/** A directory and the files in it; one that is not there is fine. */
function removeFlat(path: string): void {
  if (!existsSync(path)) return;
  withFiles(path, () => {
    for (const name of readdirSync(path)) unlinkSync(join(path, name));
    rmdirSync(path);
  });
}

/**
 * Removes pin directories of interfaces that are gone, in whichever network namespace they were, and those whose set-up
 * was never finished. Others, and what cannot be read, stay.
 * @returns the directories that were removed
 */
export function removeStalePins(root: string = pinRoot): string[] {
  if (!existsSync(root)) return [];
  const directories = withFiles(root, () => readdirSync(root)).map((name) => join(root, name));
  return directories.filter((directory) => {
    try {
      if (!isStale(directory)) return false;
      removePins(directory);
      return true;
    } catch (error) {
      if (error instanceof InbandError) return false;
      throw error;
    }
  });
}

/**
 * The directory, this one or one under the root, that has the link of an interface of this network namespace; undefined
 * where there is none, or this process may not look.
 */
export function findPinDirectory(ifindex: number, directory?: string): string | undefined {
  const suffix = namespaceSuffix();
  const under = (): string[] =>
    existsSync(pinRoot)
      ? withFiles(pinRoot, () => readdirSync(pinRoot))
          .filter((name) => name.endsWith(suffix))
          .map((name) => join(pinRoot, name))
      : [];
  try {
    const all = directory === undefined ? under() : [directory, ...under()];
    return all.find((one) => linkOf(one) === ifindex);
  } catch (error) {
    if (error instanceof InbandError) return undefined;
    throw error;
  }
}

/** Index of the interface that is linked in a directory; 0 when it is gone, undefined without a link. */
function linkOf(directory: string): number | undefined {
  if (!readPinDirectory(directory)?.hasLink) return undefined;
  const link = XdpLink.open(linkPath(directory));
  try {
    return link.info().ifindex;
  } finally {
    link.close();
  }
}

function isStale(directory: string): boolean {
  const found = readPinDirectory(directory);
  if (!found) return false;
  if (!found.hasLink) return Date.now() - statSync(directory).mtimeMs > unfinishedMs;
  return linkOf(directory) === 0;
}

/** Runs calls of `node:fs` on pins. @throws InbandError `PERMISSION` or `ENVIRONMENT` in place of what they throw */
function withFiles<Result>(path: string, call: () => Result): Result {
  try {
    return call();
  } catch (cause) {
    const { code, syscall } = cause as NodeJS.ErrnoException;
    if (code === undefined || isNativeError(cause)) throw cause;
    const isDenied = code === 'EACCES' || code === 'EPERM';
    throw new InbandError(
      isDenied ? 'PERMISSION' : 'ENVIRONMENT',
      `--pin: ${path}: ${syscall} failed (${code})`,
      {
        hint: isDenied ? pinsHint : 'give another directory in bpffs, or --detach to run without pins',
        cause,
      },
    );
  }
}
