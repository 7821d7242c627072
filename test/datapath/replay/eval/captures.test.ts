import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findCaptures } from '../../../../src/datapath/replay/eval/captures.ts';
import { temporaryDirectory } from '../support.ts';

/** A folder with these empty files. */
function folderWith(...names: string[]): string {
  const folder = temporaryDirectory();
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), '');
  }
  return folder;
}

describe('finding captures', () => {
  test('a capture goes with the truth of the same name, whatever is compressed', async () => {
    const folder = folderWith('a.pcap.gz', 'a.truth.csv', 'b.pcapng', 'b.truth.csv.gz', 'c.pcap');
    const { captures, orphans } = await findCaptures([folder]);
    expect(orphans).toEqual([]);
    expect(captures.map(({ name, truth }) => [name, truth])).toEqual([
      ['a', `${folder}/a.truth.csv`],
      ['b', `${folder}/b.truth.csv.gz`],
      ['c', undefined],
    ]);
  });

  test('a folder of its own gives its name to lb.pcap, with truth, flows and switches beside it', async () => {
    const folder = folderWith('run/lb.pcap.gz', 'run/truth.csv.gz', 'run/flows.csv', 'run/switch.txt');
    const { captures } = await findCaptures([folder]);
    const beside = (name: string) => join(folder, 'run', name);
    expect(captures).toEqual([
      {
        name: 'run',
        path: beside('lb.pcap.gz'),
        truth: beside('truth.csv.gz'),
        flows: beside('flows.csv'),
        switches: beside('switch.txt'),
      },
    ]);
  });

  test('truth.csv belongs to lb.pcap only, and other captures in its folder have none', async () => {
    const folder = folderWith('lb.pcap', 'truth.csv', 'other.pcap');
    const { captures } = await findCaptures([folder]);
    expect(captures.map(({ path, truth }) => [path, truth])).toEqual([
      [`${folder}/lb.pcap`, `${folder}/truth.csv`],
      [`${folder}/other.pcap`, undefined],
    ]);
  });

  test('a truth without a capture is told', async () => {
    const folder = folderWith('a.pcap', 'b.truth.csv', 'c/truth.csv.gz');
    expect((await findCaptures([folder])).orphans).toEqual([
      `${folder}/b.truth.csv`,
      `${folder}/c/truth.csv.gz`,
    ]);
  });

  test('a capture that is named twice, or also lies in a folder that is named, is taken once', async () => {
    const folder = folderWith('a.pcap');
    const { captures } = await findCaptures([`${folder}/a.pcap`, folder, `${folder}/a.pcap`]);
    expect(captures).toHaveLength(1);
  });

  test('a file that is named is taken whatever it is called', async () => {
    const folder = folderWith('dump');
    expect((await findCaptures([`${folder}/dump`])).captures[0]!.name).toBe('dump');
  });

  test('a path that is not there and a folder without captures are errors that say what to give', async () => {
    const folder = folderWith('notes.txt');
    await expect(findCaptures(['/does/not/exist'])).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: '/does/not/exist: cannot be read (ENOENT)',
    });
    await expect(findCaptures([folder])).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: `${folder}: no capture found`,
      hint: expect.stringContaining('NAME.truth.csv'),
    });
  });
});
