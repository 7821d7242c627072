import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { BpfObject, hookHolder, type InterfaceName, nativeDirectory } from '../../src/datapath/xdp/native.ts';
import { interfaces } from '../../src/datapath/xdp/neighbours.ts';
import { enterLab, ip, needsXdp, root, selftest, thrownBy } from './support.ts';

beforeEach(needsXdp);

function load(): BpfObject {
  const object = BpfObject.load(selftest);
  onTestFinished(() => object.close());
  return object;
}

const interfaceNamed = (name: string): InterfaceName => interfaces().find((found) => found.name === name)!;

test('a program attaches in native or generic mode, is found there, and detaches', () => {
  enterLab();
  const target = interfaceNamed('lb0');
  const object = load();
  for (const mode of ['native', 'generic'] as const) {
    expect(hookHolder(target)).toBeUndefined();
    const link = object.attach('nothing', target, mode);
    expect(hookHolder(target)).toEqual({
      mode,
      programId: expect.any(Number),
      programName: 'nothing',
      linkId: expect.any(Number),
    });
    link.close();
    link.close();
  }
  expect(hookHolder(target)).toBeUndefined();
});

test('a link that nobody refers to any more stays, after its object was closed and memory collected', async () => {
  enterLab();
  const target = interfaceNamed('lb0');
  const object = BpfObject.load(selftest);
  object.attach('nothing', target, 'native');
  object.close();
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  for (let round = 0; round < 3; round++) {
    collect();
    await setImmediate();
  }
  expect(hookHolder(target)).toMatchObject({ programName: 'nothing' });
});

test('the link of a process that is killed vanishes, and the hook is free', async () => {
  const { name } = enterLab();
  const target = interfaceNamed('lb0');
  const script = `${root}test/native/hold-link.mjs`;
  const args = [script, `${nativeDirectory}inband.node`, selftest, String(target.index)];
  const child = spawn('nsenter', [`--net=/run/netns/${name}`, process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  expect(hookHolder(target)).toMatchObject({ mode: 'native', programName: 'nothing' });

  const error = thrownBy(() => load().attach('nothing', target, 'native'));
  expect(error).toMatchObject({ code: 'HOOK_TAKEN', exitCode: 7 });
  expect(error.message).toMatch(/^lb0: the XDP hook is taken by XDP program nothing \(id \d+, native\)$/);
  expect(error.hint).toMatch(/end the process that holds its link \d+/);

  child.kill('SIGKILL');
  await exited;
  await expect.poll(() => hookHolder(target)).toBeUndefined();
});

test('a hook taken by ip link is told apart from one taken by a link', () => {
  const { name } = enterLab();
  attachByIp(name, 'lb0', selftest, 'xdp');
  const target = interfaceNamed('lb0');
  expect(hookHolder(target)).toMatchObject({ mode: 'native', linkId: undefined });
  const error = thrownBy(() => load().attach('nothing', target, 'native'));
  expect(error).toMatchObject({ code: 'HOOK_TAKEN', hint: 'remove it: ip link set dev lb0 xdp off' });
});

test('the pass program with fragments attaches at an MTU that others are refused at', () => {
  const { peer } = enterLab();
  ip('link', 'set', 'lb0', 'mtu', '9000');
  ip('-n', peer, 'link', 'set', 'peer0', 'mtu', '9000');
  const target = interfaceNamed('lb0');
  const error = thrownBy(() => load().attach('nothing', target, 'native'));
  expect(error).toMatchObject({ code: 'XDP_UNSUPPORTED', exitCode: 5 });
  expect(error.message).toMatch(/lb0: bpf_link_create failed \(ERANGE\): the MTU is too large/);
  const pass = BpfObject.load(`${nativeDirectory}pass.bpf.o`);
  onTestFinished(() => pass.close());
  pass.attach('inband_pass', target, 'native').close();
});

test('an interface without native XDP, and one that does not exist, are named', () => {
  enterLab();
  const object = load();
  const loopback = thrownBy(() => object.attach('nothing', interfaceNamed('lo'), 'native'));
  expect(loopback).toMatchObject({ code: 'XDP_UNSUPPORTED', hint: 'attach in generic mode instead' });
  const missing = thrownBy(() => object.attach('nothing', { index: 9999, name: 'eth9' }, 'native'));
  expect(missing).toMatchObject({ code: 'ENVIRONMENT', hint: 'list them: ip link' });
  expect(missing.message).toMatch('eth9: if_indextoname failed (ENODEV): no such interface');
  expect(thrownBy(() => object.attach('nothing', { index: 0, name: '' }, 'native'))).toBeInstanceOf(
    RangeError,
  );
});

test('frames of a live test run leave by the interface', async () => {
  const { peer } = enterLab();
  const pass = BpfObject.load(`${nativeDirectory}pass.bpf.o`);
  onTestFinished(() => pass.close());
  const target = interfaceNamed('lb0');
  const link = pass.attach('inband_pass', target, 'native');
  attachByIp(peer, 'peer0', `${nativeDirectory}pass.bpf.o`, 'xdp.frags');
  const object = load();
  const before = received(peer);
  const run = object.testRun('read_cell', new Uint8Array(60), {
    repeat: 256,
    liveBatch: 64,
    ifindex: target.index,
  });
  expect(run.packet).toHaveLength(0);
  await expect.poll(() => received(peer) - before).toBeGreaterThanOrEqual(256);
  link.close();
});

/** Attaches without a link. `ip netns exec` gives ip mounts of its own, so that the bpffs it mounts does not stay. */
function attachByIp(namespace: string, device: string, object: string, section: string): void {
  ip('netns', 'exec', namespace, 'ip', 'link', 'set', 'dev', device, 'xdpdrv', 'obj', object, 'sec', section);
}

/** Packets that the peer has received. */
function received(peer: string): number {
  return JSON.parse(ip('-n', peer, '-j', '-s', 'link', 'show', 'peer0'))[0].stats64.rx.packets;
}
