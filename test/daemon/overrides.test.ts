import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Overrides, strangersMax } from '../../src/daemon/overrides.ts';
import { aDirectory, web } from './stage.ts';

const backend = '10.0.0.11';

function load(directory: string) {
  const told: unknown[] = [];
  const overrides = Overrides.load(directory, 'eth0', (event, about) => told.push({ event, ...about }));
  return { overrides, told };
}

const fileIn = (directory: string) => join(directory, 'overrides-eth0.json');

describe('what operators changed', () => {
  test('is as configured where nobody changed anything', () => {
    const { overrides, told } = load(join(aDirectory(), 'not', 'there'));
    expect(overrides.of(web, backend)).toEqual({ state: 'ready', weight: null });
    expect(told).toEqual([]);
  });

  test('is read again by the next process', async () => {
    const directory = join(aDirectory(), 'state');
    const { overrides } = load(directory);
    overrides.set(web, backend, { state: 'drain' });
    overrides.set(web, '10.0.0.12', { weight: 0 });
    expect(await overrides.save()).toEqual({ kept: true });
    const after = load(directory).overrides;
    expect(after.of(web, backend)).toEqual({ state: 'drain', weight: null });
    expect(after.of(web, '10.0.0.12')).toEqual({ state: 'ready', weight: 0 });
    expect(after.of('10.0.0.2:80/tcp', backend)).toEqual({ state: 'ready', weight: null });
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(fileIn(directory)).mode & 0o777).toBe(0o600);
  });

  test('is one file per interface, and another interface knows nothing of it', async () => {
    const directory = aDirectory();
    const { overrides } = load(directory);
    overrides.set(web, backend, { state: 'maintenance' });
    await overrides.save();
    const other = Overrides.load(directory, 'eth1', () => {});
    expect(other.of(web, backend).state).toBe('ready');
  });

  test('state and weight change on their own, and what is as configured again is forgotten', async () => {
    const directory = aDirectory();
    const { overrides } = load(directory);
    overrides.set(web, backend, { state: 'drain' });
    overrides.set(web, backend, { weight: 3 });
    expect(overrides.of(web, backend)).toEqual({ state: 'drain', weight: 3 });
    overrides.set(web, backend, { state: 'ready' });
    overrides.set(web, backend, { weight: null });
    await overrides.save();
    expect(JSON.parse(readFileSync(fileIn(directory), 'utf8'))).toEqual({
      schema: 'inband.overrides/1',
      backends: [],
    });
  });

  test('is kept of backends that are not configured, the latest of them', () => {
    const { overrides } = load(aDirectory());
    overrides.set(web, backend, { state: 'drain' });
    for (let i = 0; i <= strangersMax; i++) overrides.set(web, `stranger${i}`, { state: 'drain' });
    overrides.bound((_, name) => name === backend);
    expect(overrides.of(web, backend).state).toBe('drain');
    expect(overrides.of(web, 'stranger0').state).toBe('ready');
    expect(overrides.of(web, 'stranger1').state).toBe('drain');
    expect(overrides.of(web, `stranger${strangersMax}`).state).toBe('drain');
  });

  test('many changes at once are written one after the other, the last one last', async () => {
    const directory = aDirectory();
    const { overrides } = load(directory);
    const saves = [1, 2, 3, 4, 5].map((weight) => {
      overrides.set(web, backend, { weight });
      return overrides.save();
    });
    expect(await Promise.all(saves)).toEqual(saves.map(() => ({ kept: true })));
    expect(load(directory).overrides.of(web, backend).weight).toBe(5);
    expect(existsSync(`${fileIn(directory)}.new`)).toBe(false);
  });
});

describe('a state file that cannot be used', () => {
  test('a damaged one is moved aside, and the next change is kept', async () => {
    const directory = aDirectory();
    writeFileSync(fileIn(directory), '{"schema":"inband.overrides/1","backends":[{"vip":');
    const { overrides, told } = load(directory);
    const aside = `${fileIn(directory)}.damaged`;
    expect(told).toEqual([
      { event: 'state_unreadable', file: aside, reason: 'damaged', backends: 'as configured' },
    ]);
    expect(readFileSync(aside, 'utf8')).toContain('"backends":[{');
    overrides.set(web, backend, { state: 'drain' });
    expect(await overrides.save()).toEqual({ kept: true });
  });

  test.each([
    ['a state that there is not', { vip: web, backend, state: 'asleep', weight: null }],
    ['a weight below 0', { vip: web, backend, state: 'ready', weight: -1 }],
    ['no backend', { vip: web, state: 'ready', weight: null }],
  ])('one with %s is damaged', (_what, entry) => {
    const directory = aDirectory();
    writeFileSync(fileIn(directory), JSON.stringify({ schema: 'inband.overrides/1', backends: [entry] }));
    expect(load(directory).told).toMatchObject([{ reason: 'damaged' }]);
  });

  test('one of a newer version is left as it is, and changes say that they are not kept', async () => {
    const directory = aDirectory();
    const text = '{"schema":"inband.overrides/2","everything":"else"}';
    writeFileSync(fileIn(directory), text);
    const { overrides, told } = load(directory);
    const reason = 'another version of inband made it (inband.overrides/2)';
    expect(told).toEqual([
      { event: 'state_unreadable', file: fileIn(directory), reason, backends: 'as configured' },
    ]);
    overrides.set(web, backend, { state: 'drain' });
    expect(await overrides.save()).toEqual({
      kept: false,
      note: `${fileIn(directory)} is left as it is: ${reason}`,
    });
    expect(overrides.of(web, backend).state).toBe('drain');
    expect(readFileSync(fileIn(directory), 'utf8')).toBe(text);
  });

  test('a directory in its place is left as it is', async () => {
    const directory = aDirectory();
    mkdirSync(fileIn(directory));
    const { overrides, told } = load(directory);
    expect(told).toMatchObject([{ reason: 'it cannot be read (EISDIR)' }]);
    expect(await overrides.save()).toMatchObject({ kept: false });
  });

  test('where nothing can be written a change counts, says why it is not kept, and is told once', async () => {
    const directory = aDirectory();
    const inTheWay = join(directory, 'file');
    writeFileSync(inTheWay, '');
    const { overrides, told } = load(join(inTheWay, 'state'));
    overrides.set(web, backend, { state: 'drain' });
    const path = fileIn(join(inTheWay, 'state'));
    const note = `${path} cannot be written: ENOTDIR`;
    expect(await overrides.save()).toEqual({ kept: false, note });
    expect(await overrides.save()).toEqual({ kept: false, note });
    expect(told).toEqual([{ event: 'state_unwritable', file: path, reason: 'ENOTDIR' }]);
    expect(overrides.failures).toBe(2);
    expect(overrides.of(web, backend).state).toBe('drain');
  });

  test('what could not be written is written with the next change that can', async () => {
    const directory = aDirectory();
    const { overrides, told } = load(directory);
    mkdirSync(`${fileIn(directory)}.new`);
    overrides.set(web, backend, { state: 'drain' });
    expect(await overrides.save()).toMatchObject({ kept: false });
    chmodSync(`${fileIn(directory)}.new`, 0o700);
    const { rmdirSync } = await import('node:fs');
    rmdirSync(`${fileIn(directory)}.new`);
    overrides.set(web, '10.0.0.12', { weight: 2 });
    expect(await overrides.save()).toEqual({ kept: true });
    const after = load(directory).overrides;
    expect([after.of(web, backend).state, after.of(web, '10.0.0.12').weight]).toEqual(['drain', 2]);
    expect(told).toHaveLength(1);
  });
});

test("a directory that is made for another user is that user's, one that was there is not", () => {
  const parent = aDirectory();
  const owner = { uid: 65_534, gid: 65_534 };
  const mayGive = process.getuid?.() === 0;
  Overrides.load(join(parent, 'made'), 'eth0', () => {}, owner);
  Overrides.load(parent, 'eth0', () => {}, owner);
  expect(statSync(join(parent, 'made')).uid).toBe(mayGive ? owner.uid : process.getuid?.());
  expect(statSync(parent).uid).toBe(process.getuid?.());
});
