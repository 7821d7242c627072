import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { FrameSender } from '../../src/datapath/xdp/frame-sender.ts';
import { gracePeriod } from '../../src/datapath/xdp/link.ts';
import { takeInterfaceLock } from '../../src/datapath/xdp/lock.ts';
import {
  BpfObject,
  type BpfObjectOptions,
  hookHolder,
  type InterfaceName,
  XdpLink,
} from '../../src/datapath/xdp/native.ts';
import { interfaces } from '../../src/datapath/xdp/neighbours.ts';
import { PinnedMap, PinnedProgram } from '../../src/datapath/xdp/pinned.ts';
import { needsBpffs, pinDirectory as pinDirectoryName } from '../restart/support.ts';
import { enterLab, ip, needsXdp, root, selftest, thrownBy } from './support.ts';

beforeEach(needsXdp);
beforeEach(needsBpffs);

/** A directory in bpffs that is removed, with its pins, after the test. */
function pinDirectory(): string {
  const path = pinDirectoryName();
  mkdirSync(path, { mode: 0o700 });
  return path;
}

function load(options?: BpfObjectOptions): BpfObject {
  const object = BpfObject.load(selftest, options);
  onTestFinished(() => object.close());
  return object;
}

const interfaceNamed = (name: string): InterfaceName => interfaces().find((found) => found.name === name)!;
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const packetOf = (cell: number) => {
  const packet = new Uint8Array(60);
  packet.set(u32(cell));
  return packet;
};

test('a pinned map outlives its object, is described as it is, and is the memory of the next object', () => {
  const path = join(pinDirectory(), 'cells');
  const first = BpfObject.load(selftest, { maxEntries: { cells: 16 } });
  new BigUint64Array(first.memory('cells'))[5] = 7n;
  first.pinMap('cells', path);
  first.close();
  const cells = PinnedMap.open(path);
  onTestFinished(() => cells.close());
  expect(cells.spec).toEqual({
    id: expect.any(Number),
    type: 2,
    flags: 1 << 10,
    keySize: 4,
    valueSize: 8,
    maxEntries: 16,
  });
  expect(new BigUint64Array(cells.memory())[5]).toBe(7n);
  expect(new DataView(cells.lookup(u32(5))!.buffer).getBigUint64(0, true)).toBe(7n);
  expect(cells.lookup(u32(16))).toBeUndefined();

  const next = load({ reuse: new Map([['cells', cells]]), maxEntries: { cells: 99 } });
  expect(next.maps.get('cells')!.maxEntries).toBe(16);
  new BigUint64Array(cells.memory())[5] = 8n;
  const { packet } = next.testRun('read_cell', packetOf(5));
  expect(new DataView(packet.buffer).getUint32(0, true)).toBe(8);
});

test('memory of a pinned map is empty once that is closed', () => {
  const path = join(pinDirectory(), 'cells');
  load().pinMap('cells', path);
  const cells = PinnedMap.open(path);
  const memory = cells.memory();
  cells.close();
  cells.close();
  expect(memory.byteLength).toBe(0);
  expect(thrownBy(() => cells.memory())).toMatchObject({ code: 'BPF_FAILED' });
});

test('a map that is not what the object describes is not taken', () => {
  const directory = pinDirectory();
  const object = load();
  object.pinMap('words', join(directory, 'words'));
  const words = PinnedMap.open(join(directory, 'words'));
  onTestFinished(() => words.close());
  const error = thrownBy(() => load({ reuse: new Map([['cells', words]]) }));
  expect(error).toMatchObject({ code: 'BPF_FAILED' });
  expect(error.message).toMatch(/words is no map cells: its type differs$/);
});

test('what is pinned is opened as what it is alone', () => {
  const directory = pinDirectory();
  const object = load();
  object.pinMap('cells', join(directory, 'map'));
  object.pinProgram('nothing', join(directory, 'program'));
  expect(thrownBy(() => PinnedMap.open(join(directory, 'program'))).message).toMatch(
    /bpf_obj_get failed \(EINVAL\)/,
  );
  expect(thrownBy(() => PinnedProgram.open(join(directory, 'map'))).message).toMatch(/\(EINVAL\)/);
  expect(thrownBy(() => XdpLink.open(join(directory, 'map'))).message).toMatch(/\(EINVAL\)/);
  expect(thrownBy(() => PinnedMap.open(join(directory, 'none'))).message).toMatch(/\(ENOENT\)/);
  expect(thrownBy(() => object.pinMap('cells', join(directory, 'map'))).message).toMatch(/\(EEXIST\)/);
  expect(thrownBy(() => object.pinMap('cells', '/tmp/no-bpffs')).message).toMatch(/bpf_obj_pin failed/);
});

test('a pinned link stays when it is closed, is found again, and ends with its pin', () => {
  enterLab();
  const target = interfaceNamed('lb0');
  const path = join(pinDirectory(), 'link');
  const link = load().attach('nothing', target, 'native');
  link.pin(path);
  const { id, programId } = link.info();
  expect(hookHolder(target)).toMatchObject({ programId, linkId: id });
  link.close();
  expect(hookHolder(target)).toMatchObject({ programId });
  const again = XdpLink.open(path);
  expect(again.info()).toEqual({ id, programId, ifindex: target.index });
  unlinkSync(path);
  again.close();
  expect(hookHolder(target)).toBeUndefined();
});

test('a program takes the place of the expected one, and of no other', () => {
  enterLab();
  const target = interfaceNamed('lb0');
  const directory = pinDirectory();
  const first = load();
  const link = first.attach('nothing', target, 'native');
  onTestFinished(() => link.close());
  first.pinProgram('nothing', join(directory, 'first'));
  const expected = PinnedProgram.open(join(directory, 'first'));
  onTestFinished(() => expected.close());
  expect(link.info().programId).toBe(expected.id);

  const second = load();
  second.replaceIn(link, 'nothing', expected);
  gracePeriod();
  expect(link.info().programId).not.toBe(expected.id);
  expect(hookHolder(target)).toMatchObject({ programId: link.info().programId });
  const error = thrownBy(() => load().replaceIn(link, 'nothing', expected));
  expect(error).toMatchObject({ code: 'HOOK_TAKEN' });
});

test('a link is of no interface once that is gone, or it was detached', () => {
  enterLab();
  const directory = pinDirectory();
  const object = load();
  const link = object.attach('nothing', interfaceNamed('lb0'), 'native');
  onTestFinished(() => link.close());
  link.pin(join(directory, 'link'));
  link.detach();
  expect(link.info().ifindex).toBe(0);
  expect(hookHolder(interfaceNamed('lb0'))).toBeUndefined();

  const other = object.attach('nothing', interfaceNamed('lb0'), 'native');
  onTestFinished(() => other.close());
  ip('link', 'del', 'lb0');
  expect(other.info().ifindex).toBe(0);
});

test('a frame leaves by the interface that it is sent by, and not by one that is down or gone', () => {
  const { peer } = enterLab();
  const sender = FrameSender.open();
  onTestFinished(() => sender.close());
  const target = interfaceNamed('lb0');
  const frame = new Uint8Array(60).fill(0xff, 0, 6);
  const received = () =>
    JSON.parse(ip('-n', peer, '-j', '-s', 'link', 'show', 'peer0'))[0].stats64.rx.packets;
  const before = received();
  for (let i = 0; i < 100; i++) expect(sender.send(target.index, frame)).toBe(true);
  expect(received() - before).toBeGreaterThanOrEqual(100);
  expect(thrownBy(() => sender.send(target.index, new Uint8Array(9000)))).toMatchObject({
    code: 'BPF_FAILED',
  });
  expect(thrownBy(() => sender.send(target.index, new Uint8Array(5)))).toBeInstanceOf(RangeError);
  ip('link', 'set', 'lb0', 'down');
  expect(sender.send(target.index, frame)).toBe(false);
  expect(sender.send(9999, frame)).toBe(false);
});

test('the lock of an interface has one holder in a network namespace, which is named', () => {
  enterLab();
  const lock = takeInterfaceLock('lb0');
  const error = thrownBy(() => takeInterfaceLock('lb0'));
  expect(error).toMatchObject({
    code: 'ALREADY_RUNNING',
    exitCode: 7,
    hint: `end it first: kill ${process.pid}`,
  });
  expect(error.message).toBe(`lb0: a load balancer runs there already (process ${process.pid})`);
  takeInterfaceLock('lb1').release();
  lock.release();
  takeInterfaceLock('lb0').release();
});

test('the lock of a process that is killed is free', async () => {
  const { name } = enterLab();
  const script = `
    const { createRequire } = require('node:module');
    globalThis.lock = require(${JSON.stringify(`${root}build/native/inband.node`)}).lockTake('inband/lb0');
    console.log('taken');
    setInterval(() => {}, 1000);`;
  const child = spawn('nsenter', [`--net=/run/netns/${name}`, process.execPath, '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  expect(thrownBy(() => takeInterfaceLock('lb0')).message).toMatch(`(process ${child.pid})`);
  child.kill('SIGKILL');
  await exited;
  takeInterfaceLock('lb0').release();
});
