import { type Dirent, existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { InbandError } from '../../../errors.ts';
import { unreadable } from '../file-errors.ts';

/** A capture with what lies beside it. */
export interface CaptureFiles {
  /** How results call it: the file's name without its ending, or its folder's where the file is `lb.pcap`. */
  readonly name: string;
  readonly path: string;
  readonly truth: string | undefined;
  /** CSV with `client_port,server`. */
  readonly flows: string | undefined;
  /** When servers became slower or faster. */
  readonly switches: string | undefined;
}

export interface FoundCaptures {
  readonly captures: CaptureFiles[];
  /** Truths that have no capture beside them. */
  readonly orphans: string[];
}

/** Captures that one evaluation takes. */
export const capturesMax = 1_000;
/** Folders below the one given. */
const depthMax = 4;

const captureName = /^(.+)\.pcap(?:ng)?(?:\.gz)?$/;
const truthName = /^(?:(.+)\.)?truth\.csv(?:\.gz)?$/;
/** What a load balancer's capture is called in a folder of its own. */
const ownFolder = 'lb';

/**
 * Finds captures and their truths: `NAME.pcap` beside `NAME.truth.csv`, or `lb.pcap` beside `truth.csv` in a folder that
 * gives the name; `.pcapng` and `.gz` likewise. `flows.csv` and `switch.txt` are looked for in the same way.
 * @throws InbandError `FILE_UNREADABLE` for a path that is not there or a folder without captures, `LIMIT`
 */
export async function findCaptures(paths: readonly string[]): Promise<FoundCaptures> {
  const captures = new Map<string, CaptureFiles>();
  const orphans: string[] = [];
  for (const path of paths) {
    const found = await stat(path).catch((cause) => {
      throw unreadable(path, cause, 'give captures, or folders with captures and their truths');
    });
    if (!found.isDirectory()) {
      captures.set(path, captureAt(path));
      continue;
    }
    let isEmpty = true;
    for await (const { folder, name, names } of walk(path, 0)) {
      if (captureName.test(name) || isOrphan(name, names)) isEmpty = false;
      if (captureName.test(name)) captures.set(join(folder, name), captureAt(join(folder, name)));
      else if (isOrphan(name, names)) orphans.push(join(folder, name));
      if (captures.size > capturesMax) {
        throw new InbandError('LIMIT', `${path}: more than ${capturesMax} captures`, {
          hint: 'give the folders one by one',
        });
      }
    }
    if (isEmpty) {
      throw new InbandError('FILE_UNREADABLE', `${path}: no capture found`, {
        hint: 'captures are called NAME.pcap or NAME.pcapng, .gz allowed, with NAME.truth.csv beside them',
      });
    }
  }
  return { captures: [...captures.values()], orphans };
}

/** Files of a folder and those below it, in order of their names. */
async function* walk(
  folder: string,
  depth: number,
): AsyncGenerator<{ folder: string; name: string; names: readonly string[] }> {
  const entries: Dirent[] = await readdir(folder, { withFileTypes: true }).catch((cause) => {
    throw unreadable(folder, cause);
  });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const names = entries.map(({ name }) => name);
  for (const entry of entries) {
    if (!entry.isDirectory()) yield { folder, name: entry.name, names };
    else if (depth < depthMax) yield* walk(join(folder, entry.name), depth + 1);
  }
}

function captureAt(path: string): CaptureFiles {
  const folder = dirname(path);
  const stem = captureName.exec(basename(path))?.[1] ?? basename(path);
  const isOwn = stem === ownFolder;
  const beside = (name: string) =>
    [`${stem}.${name}`, ...(isOwn ? [name] : [])]
      .flatMap((candidate) => [join(folder, candidate), join(folder, `${candidate}.gz`)])
      .find((candidate) => existsSync(candidate));
  const ownName = basename(folder);
  return {
    name: isOwn && ownName !== '' && !ownName.startsWith('.') ? ownName : stem,
    path,
    truth: beside('truth.csv'),
    flows: beside('flows.csv'),
    switches: beside('switch.txt'),
  };
}

function isOrphan(name: string, names: readonly string[]): boolean {
  const match = truthName.exec(name);
  if (!match) return false;
  const stem = match[1] ?? ownFolder;
  return !names.some((other) => captureName.exec(other)?.[1] === stem);
}
