import { chownSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { detach } from '../../src/datapath/xdp/detach.ts';
import { takeInterfaceLock } from '../../src/datapath/xdp/lock.ts';
import { BpfObject, hookHolder, XdpLink } from '../../src/datapath/xdp/native.ts';
import { PinnedProgram } from '../../src/datapath/xdp/pinned.ts';
import {
  isInBpffs,
  linkPath,
  makePinDirectory,
  pinDirectoryOf,
  removePins,
  removeStalePins,
} from '../../src/datapath/xdp/pins.ts';
import { closeRunning, findRunning, type Running } from '../../src/datapath/xdp/running.ts';
import { inbandAbi } from '../../src/generated/layout.ts';
import { enterLab, ip, needsXdp, thrownBy } from '../native/support.ts';
import {
  interfaceNamed,
  leaveRunning,
  needsBpffs,
  ownBpffs,
  pinDirectory,
  pinTiny,
  tinyObject,
} from './support.ts';

beforeEach(needsXdp);
beforeEach(needsBpffs);

/** All paths in a pin directory. */
const contents = (directory: string) => readdirSync(directory, { recursive: true }).sort();
const whole = (generation: number) => [
  `${generation}`,
  `${generation}/cells`,
  `${generation}/program`,
  `${generation}/rodata`,
  'link',
];

function find(directory: string): Running | undefined {
  const running = findRunning(directory, interfaceNamed('lb0'));
  if (!running) return undefined;
  onTestFinished(() => {
    closeRunning(running);
    running.link.close();
  });
  return running;
}

describe('names', () => {
  test('a directory is of an interface in a network namespace, and has no dots', () => {
    const here = pinDirectoryOf('eth0');
    expect(here).toBe(`/sys/fs/bpf/inband/eth0-${statSync('/proc/self/ns/net').ino}`);
    enterLab();
    expect(pinDirectoryOf('eth0')).not.toBe(here);
    expect(basename(pinDirectoryOf('eth0.7'))).toMatch(/^eth0%2e7-\d+$/);
    expect(pinDirectoryOf('a%2e')).not.toBe(pinDirectoryOf('a.'));
  });

  test('only a bpf file system takes pins, and only names without dots', () => {
    expect(isInBpffs('/sys/fs/bpf/not/there/yet')).toBe(true);
    expect(isInBpffs('/tmp/not/there/yet')).toBe(false);
    expect(thrownBy(() => makePinDirectory('/tmp/inband-pins'))).toMatchObject({
      code: 'ENVIRONMENT',
      message: '--pin: /tmp/inband-pins is not in a bpf file system',
      hint: 'give a directory under /sys/fs/bpf, which is mounted by: mount -t bpf bpf /sys/fs/bpf',
    });
    expect(existsSync('/tmp/inband-pins')).toBe(false);
    expect(thrownBy(() => makePinDirectory('/sys/fs/bpf/inband.d'))).toMatchObject({ code: 'PERMISSION' });
  });

  test('nobody but its owner sees into a pin directory', () => {
    const directory = pinDirectory();
    makePinDirectory(directory);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });
});

describe('what runs', () => {
  test('is nothing where nothing is pinned, and looking leaves nothing behind', () => {
    enterLab();
    const directory = pinDirectory();
    expect(find(directory)).toBeUndefined();
    expect(existsSync(directory)).toBe(false);
  });

  test('is found with its link, program, maps and constants after its process has ended', () => {
    enterLab();
    const directory = pinDirectory();
    leaveRunning(directory, tinyObject(inbandAbi.abi), 'lb0');
    const running = find(directory)!;
    expect(running).toMatchObject({ directory, generation: 1 });
    expect([...running.maps.keys()].sort()).toEqual(['cells', 'rodata']);
    expect(running.link.info()).toMatchObject({
      ifindex: interfaceNamed('lb0').index,
      programId: running.program.id,
    });
    expect(hookHolder(interfaceNamed('lb0'))).toMatchObject({ programId: running.program.id });
    expect(running.constants.getUint32(0, true)).toBe(inbandAbi.abi);
    expect(running.maps.get('cells')!.memory().byteLength).toBe(32);
  });

  test('is the generation whose program the link holds; what a crash left beside it is removed', () => {
    enterLab();
    const directory = pinDirectory();
    const first = tinyObject(inbandAbi.abi);
    leaveRunning(directory, first, 'lb0');
    // Died before the link was turned to the next generation, which was pinned in part.
    const second = tinyObject(inbandAbi.abi);
    pinTiny(directory, 2, second);
    mkdirSync(join(directory, '3'));
    expect(find(directory)).toMatchObject({ generation: 1 });
    expect(contents(directory)).toEqual(whole(1));

    // Died after that, before the first generation was removed.
    pinTiny(directory, 2, second);
    const link = XdpLink.open(linkPath(directory));
    const expected = PinnedProgram.open(join(directory, '1', 'program'));
    second.replaceIn(link, 'inband', expected);
    expected.close();
    link.close();
    expect(find(directory)).toMatchObject({ generation: 2 });
    expect(contents(directory)).toEqual(whole(2));
  });

  test('of another ABI goes on as it is, and the error says how to take it down', () => {
    enterLab();
    const directory = pinDirectory();
    leaveRunning(directory, tinyObject(inbandAbi.abi + 1), 'lb0');
    mkdirSync(join(directory, '2'));
    const before = contents(directory);
    const { programId } = hookHolder(interfaceNamed('lb0'))!;
    const error = thrownBy(() => find(directory));
    expect(error).toMatchObject({ code: 'ABI_MISMATCH', exitCode: 8 });
    expect(error.message).toBe(
      `lb0: a load balancer is pinned there whose program has ABI ${inbandAbi.abi + 1}, this version ABI ${inbandAbi.abi}`,
    );
    expect(error.hint).toMatch(`inband detach --interface lb0 --pin ${directory}`);
    expect(contents(directory)).toEqual(before);
    expect(hookHolder(interfaceNamed('lb0'))).toMatchObject({ programId });
  });

  test('of another user is told apart from what cannot be understood', () => {
    enterLab();
    const directory = join(ownBpffs(), 'lb0');
    leaveRunning(directory, tinyObject(inbandAbi.abi), 'lb0');
    const seen = ['', '/link', '/1', '/1/program'].map((path) => {
      // One level after the other is given away, from the top.
      process.seteuid!(65_534);
      try {
        return thrownBy(() => find(directory));
      } finally {
        process.seteuid!(0);
        chownSync(`${directory}${path}`, 65_534, 65_534);
      }
    });
    for (const error of seen) {
      expect(error).toMatchObject({ code: 'PERMISSION', exitCode: 6 });
      expect(error.hint).toMatch(/chown -R USER DIRECTORY/);
    }
    expect(find(directory)).toBeDefined();
  });

  test('with a program that is not among the pins is not touched', () => {
    enterLab();
    const directory = pinDirectory();
    const object = tinyObject(inbandAbi.abi);
    pinTiny(directory, 1, object);
    const link = tinyObject(inbandAbi.abi).attach('inband', interfaceNamed('lb0'), 'native');
    link.pin(linkPath(directory));
    link.close();
    expect(thrownBy(() => find(directory))).toMatchObject({ code: 'ABI_MISMATCH' });
    expect(contents(directory)).toEqual(whole(1));
  });

  test('of a set-up that never came to its link is removed', () => {
    enterLab();
    const directory = pinDirectory();
    pinTiny(directory, 1, tinyObject(inbandAbi.abi));
    expect(find(directory)).toBeUndefined();
    expect(existsSync(directory)).toBe(false);
  });

  test('of an interface that was deleted and made again is removed', () => {
    const { peer } = enterLab();
    const directory = pinDirectory();
    leaveRunning(directory, tinyObject(inbandAbi.abi), 'lb0');
    ip('link', 'del', 'lb0');
    ip('link', 'add', 'lb0', 'type', 'veth', 'peer', 'name', 'peer0', 'netns', peer);
    expect(find(directory)).toBeUndefined();
    expect(existsSync(directory)).toBe(false);
  });

  test('of another interface is refused and goes on', () => {
    enterLab();
    ip('link', 'add', 'lb1', 'type', 'veth', 'peer', 'name', 'peer1');
    const directory = pinDirectory();
    leaveRunning(directory, tinyObject(inbandAbi.abi), 'lb1');
    expect(thrownBy(() => find(directory))).toMatchObject({ code: 'ENVIRONMENT' });
    expect(hookHolder(interfaceNamed('lb1'))).toBeDefined();
    expect(contents(directory)).toEqual(whole(1));
  });

  test('is not looked for, nor anything removed, in a directory that holds something else', () => {
    enterLab();
    const directory = pinDirectory();
    pinTiny(directory, 1, tinyObject(inbandAbi.abi));
    mkdirSync(join(directory, 'theirs'));
    const foreign = {
      code: 'ENVIRONMENT',
      message: `--pin: ${directory} holds 'theirs', which is not of inband`,
    };
    expect(thrownBy(() => find(directory))).toMatchObject(foreign);
    expect(thrownBy(() => removePins(directory))).toMatchObject(foreign);
    expect(contents(directory)).toContain('1/cells');
  });
});

describe('what is left', () => {
  test('of interfaces that are gone, and of no link for long, is removed; the rest stays', () => {
    const { peer } = enterLab();
    const root = pinDirectory();
    mkdirSync(root);
    ip('link', 'add', 'lb1', 'type', 'veth', 'peer', 'name', 'peer1', 'netns', peer);
    const [gone, running, young, foreign] = ['gone', 'running', 'young', 'foreign'].map((name) =>
      join(root, name),
    );
    const object = tinyObject(inbandAbi.abi);
    leaveRunning(gone!, object, 'lb1');
    leaveRunning(running!, object, 'lb0');
    pinTiny(young!, 1, object);
    mkdirSync(join(foreign!, 'theirs'), { recursive: true });
    ip('link', 'del', 'lb1');
    expect(removeStalePins(root)).toEqual([gone]);
    expect(readdirSync(root).sort()).toEqual(['foreign', 'running', 'young']);
    expect(removeStalePins(join(root, 'nowhere'))).toEqual([]);
  });
});

describe('detach', () => {
  test('takes a program of any ABI off its interface, removes its pins, and does nothing the second time', () => {
    enterLab();
    const directory = pinDirectory();
    leaveRunning(directory, tinyObject(inbandAbi.abi + 1), 'lb0');
    const about = { schema: 'inband.detach/1', interface: 'lb0', pin: directory };
    expect(detach('lb0', directory)).toEqual({ ...about, detached: true, removed: true });
    expect(hookHolder(interfaceNamed('lb0'))).toBeUndefined();
    expect(existsSync(directory)).toBe(false);
    expect(detach('lb0', directory)).toEqual({ ...about, detached: false, removed: false });
  });

  test('removes pins of an interface that is gone', () => {
    enterLab();
    const directory = pinDirectory();
    leaveRunning(directory, tinyObject(inbandAbi.abi), 'lb0');
    ip('link', 'del', 'lb0');
    expect(detach('lb0', directory)).toMatchObject({ detached: false, removed: true });
    expect(existsSync(directory)).toBe(false);
  });

  test('is refused while a process runs the load balancer, and for pins of another interface', () => {
    enterLab();
    ip('link', 'add', 'lb1', 'type', 'veth', 'peer', 'name', 'peer1');
    const directory = pinDirectory();
    leaveRunning(directory, tinyObject(inbandAbi.abi), 'lb0');
    const lock = takeInterfaceLock('lb0');
    expect(thrownBy(() => detach('lb0', directory))).toMatchObject({ code: 'ALREADY_RUNNING' });
    lock.release();
    expect(thrownBy(() => detach('lb1', directory))).toMatchObject({ code: 'ENVIRONMENT' });
    expect(hookHolder(interfaceNamed('lb0'))).toBeDefined();
    expect(contents(directory)).toEqual(whole(1));
    // It let go of its own lock in both cases.
    takeInterfaceLock('lb0').release();
    takeInterfaceLock('lb1').release();
  });
});

test('the constants of the program begin with its ABI, as those of every version do', () => {
  const object = BpfObject.load(`${import.meta.dirname}/../../build/native/inband.bpf.o`);
  onTestFinished(() => object.close());
  expect(object.globals.get('inband_abi')).toMatchObject({ map: '.rodata', offset: 0, size: 4 });
});
