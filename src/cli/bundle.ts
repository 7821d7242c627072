import { rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { makeBundle } from '../bundle/bundle.ts';
import { bundleParts } from '../bundle/parts.ts';
import { unwritable } from '../datapath/replay/file-errors.ts';
import { InbandError } from '../errors.ts';
import { type BundleAnswer, bundleText } from '../report/bundle.ts';
import { type RemoteFlags, remoteCommand, textOptions } from './remote.ts';

interface Flags extends RemoteFlags {
  readonly interface?: string;
  readonly log?: string;
}

/** It tells addresses of servers and what they do: for its maker only. */
const fileMode = 0o600;

export function bundleCommand(): Command {
  return remoteCommand(
    'bundle',
    'Make an archive for whoever looks for a fault: what the daemon and the machine tell',
  )
    .argument(
      '[FILE]',
      'archive to make (.tar.gz), - for standard output (default: inband-HOST-TIME.tar.gz here)',
    )
    .option('--interface <NAME>', "interface to look at (default: the daemon's)")
    .option('--log <FILE>', 'put the end of this log in, too')
    .action(bundle);
}

async function bundle(file: string | undefined, flags: Flags): Promise<void> {
  const madeAt = new Date();
  const name = `inband-${hostname().replace(/[^\w.-]/g, '_')}-${stamp(madeAt)}`;
  const path = file ?? `${name}.tar.gz`;
  const parts = await bundleParts({ socket: flags.socket, interface: flags.interface, log: flags.log });
  const made = await makeBundle(name, parts, madeAt);
  if (path === '-') {
    process.stdout.write(made.archive);
    return;
  }
  await write(path, made.archive);
  const answer: BundleAnswer = {
    schema: 'inband.bundle/1',
    file: path,
    bytes: made.archive.length,
    parts: made.parts,
  };
  process.stdout.write(`${flags.json ? JSON.stringify(answer) : bundleText(answer, textOptions())}\n`);
}

/** @throws InbandError `FILE_UNWRITABLE` for what cannot be made, or is there: it might be open to others */
async function write(path: string, data: Uint8Array): Promise<void> {
  try {
    await writeFile(path, data, { mode: fileMode, flag: 'wx' });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new InbandError('FILE_UNWRITABLE', `${path}: is there already`, {
        hint: 'remove it, or give another name',
      });
    }
    await rm(path, { force: true });
    throw unwritable(path, cause);
  }
}

/** 20260101T120000Z. */
const stamp = (time: Date): string => time.toISOString().replace(/[-:]|\.\d+/g, '');
