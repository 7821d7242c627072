import { existsSync, readdirSync } from 'node:fs';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { DatapathOptions, LiveEstimator } from '../../src/datapath/datapath.ts';
import { openDatapath } from '../../src/datapath/open.ts';
import { XdpDatapath } from '../../src/datapath/xdp/datapath.ts';
import { configOffset } from '../../src/datapath/xdp/inherit.ts';
import { hookHolder } from '../../src/datapath/xdp/native.ts';
import { pinDirectoryOf, removePins } from '../../src/datapath/xdp/pins.ts';
import type { XdpProgramOptions, XdpVip } from '../../src/datapath/xdp/program.ts';
import { type Installed, install } from '../../src/datapath/xdp/take-over.ts';
import { epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { parseEndpoint } from '../../src/net/address.ts';
import { enterLab, ip, needsXdp, thrownBy } from '../native/support.ts';
import { ip as addressOf, buildFrame } from '../support/frames.ts';
import { macOf, sourceMac, xdp } from '../xdp/support.ts';
import { interfaceNamed, needsBpffs, pinDirectory } from './support.ts';

beforeEach(needsXdp);
beforeEach(needsBpffs);

const flag = { syn: 2, rst: 4, ack: 16 } as const;
const slots = 13;

/** A vip whose backends are 10.1.0.1, 10.1.0.2 and so on. */
const vip = (text: string, backends: number, estimator: LiveEstimator = 'auto', size = slots): XdpVip => ({
  endpoint: parseEndpoint(text, 'vip'),
  slots: size,
  backends: Array.from({ length: backends }, (_, i) => (10 << 24) | (1 << 16) | (i + 1)),
  estimator,
});

const web = (backends: number, estimator?: LiveEstimator) => vip('10.0.0.1:80/tcp', backends, estimator);

/** A process that runs the load balancer on lb0, as far as the kernel sees it. */
class Instance {
  readonly installed: Installed;
  readonly #target = interfaceNamed('lb0');

  constructor(
    directory: string | undefined,
    options: Partial<XdpProgramOptions> & { vips: readonly XdpVip[] },
  ) {
    this.installed = install(
      { flows: 4096, timeoutsNs: timeoutsDefault, epochNs: epochDefault, cliff: 'smooth', ...options },
      this.#target,
      directory,
    );
    onTestFinished(() => this.end());
    const { program } = this.installed;
    for (const { number } of program.members) {
      if (!program.isRouted(number))
        program.setBackend(number, { mac: macOf(number), sourceMac, ifindex: this.#target.index });
    }
  }

  get program() {
    return this.installed.program;
  }

  /** As the kernel ends a process: descriptors and memory go, and nothing else. */
  end(): void {
    this.program.close();
  }

  /** Lets all new flows of a vip go to a backend. */
  point(vip: number, backend: number): void {
    this.program.slots(vip).fill(backend);
  }

  /** The backend that a segment goes to; -1 if it goes to none. */
  send(port: number, flags: number, dst = '10.0.0.1', dstPort = 80): number {
    const src = addressOf('192.0.2.1');
    const frame = buildFrame({ src, dst: addressOf(dst), tcp: { srcPort: port, dstPort, flags, seq: 1 } });
    const { verdict, packet } = this.program.testRun(frame, { ifindex: this.#target.index });
    return verdict === xdp.tx ? (packet[4]! << 8) | packet[5]! : -1;
  }

  /** A flow with two packets: established. */
  establish(port: number): number {
    this.send(port, flag.syn);
    return this.send(port, flag.ack);
  }

  samples(backend: number, kind: string): number {
    return this.program.histogram(backend, this.program.kinds.indexOf(kind)).count;
  }
}

const options = (pin?: string): DatapathOptions => ({
  interface: 'lb0',
  vips: [{ endpoint: parseEndpoint('10.0.0.1:80/tcp', 'vip'), backends: [{ name: '10.1.0.1' }] }],
  slots,
  flows: 1024,
  timeoutsNs: timeoutsDefault,
  epochNs: epochDefault,
  cliff: 'smooth',
  ...(pin !== undefined && { pin }),
});

describe('the next process', () => {
  test('goes on with flows, slots and counters, with its own program on the interface', () => {
    enterLab();
    const directory = pinDirectory();
    const first = new Instance(directory, { vips: [web(3)] });
    expect(first.installed).toMatchObject({
      adopted: false,
      notices: [],
      attachment: { mode: 'native', reason: '' },
    });
    first.point(0, 2);
    for (let port = 1; port <= 50; port++) expect(first.establish(port)).toBe(2);
    first.point(0, 1);
    const traffic = first.program.counters.traffic(2);
    const { tx } = first.program.counters.packets();
    const { programId } = hookHolder(interfaceNamed('lb0'))!;
    first.end();
    expect(hookHolder(interfaceNamed('lb0'))).toMatchObject({ programId });

    const next = new Instance(directory, { vips: [web(3)] });
    expect(next.installed).toMatchObject({
      adopted: true,
      notices: [],
      attachment: { mode: 'native', reason: '' },
    });
    expect(hookHolder(interfaceNamed('lb0'))!.programId).not.toBe(programId);
    expect([...next.program.slots(0)]).toEqual(Array(slots).fill(1));
    expect(next.program.counters.traffic(2)).toEqual(traffic);
    expect(traffic).toMatchObject({ packets: 100, flows: 50, held: 50 });
    expect(next.program.counters.packets().tx).toBe(tx);
    expect(next.samples(2, 'handshake')).toBe(50);
    for (let port = 1; port <= 50; port++) expect(next.send(port, flag.ack)).toBe(2);
    expect(next.establish(51)).toBe(1);
    expect(next.program.counters.traffic(2)).toMatchObject({ flows: 50, held: 50 });
    expect(next.program.counters.flows()).toMatchObject({ created: 51, active: 51, reopened: 0 });
  });

  test('and those after it leave one generation of pins', () => {
    enterLab();
    const directory = pinDirectory();
    for (let generation = 1; generation <= 4; generation++) {
      const instance = new Instance(directory, { vips: [web(2)] });
      if (generation === 1) instance.point(0, 1);
      expect(instance.establish(generation)).toBe(1);
      expect(readdirSync(directory).sort()).toEqual([String(generation), 'link']);
      expect(readdirSync(`${directory}/${generation}`)).not.toContain('bss');
      instance.end();
    }
    const last = new Instance(directory, { vips: [web(2)] });
    expect(last.program.counters.traffic(1)).toMatchObject({ flows: 4, held: 4 });
  });

  test('serves the vips and backends of its own configuration; numbers stay with those that were there', () => {
    enterLab();
    const directory = pinDirectory();
    const dns = vip('10.0.0.2:53/tcp', 2);
    const first = new Instance(directory, { vips: [web(3), dns] });
    expect(first.program.placed).toEqual([
      { vip: 0, backends: [0, 1, 2] },
      { vip: 1, backends: [3, 4] },
    ]);
    first.point(0, 1);
    first.point(1, 4);
    first.establish(1);
    expect(first.send(1, flag.syn, '10.0.0.2', 53)).toBe(4);
    first.end();

    const mail = vip('10.0.0.3:25/tcp', 1);
    const others = { ...web(4), backends: web(4).backends.filter((_, i) => i !== 1) };
    const next = new Instance(directory, { vips: [mail, others] });
    expect(next.program.placed).toEqual([
      { vip: 2, backends: [5] },
      { vip: 0, backends: [0, 2, 6] },
    ]);
    // Known flows go on to what is not configured any more; the vip that is gone takes no others.
    expect(next.send(1, flag.ack)).toBe(1);
    expect(next.send(1, flag.ack, '10.0.0.2', 53)).toBe(4);
    expect(next.send(2, flag.syn, '10.0.0.2', 53)).toBe(-1);
    expect([...next.program.slots(2)]).toEqual(Array(slots).fill(0xffff));
  });

  test('makes room for more backends than before, and every count goes on', () => {
    enterLab();
    const directory = pinDirectory();
    const first = new Instance(directory, { vips: [web(3)] });
    const room = first.program.capacity.backends;
    first.point(0, 2);
    for (let port = 1; port <= 20; port++) first.establish(port);
    first.send(20, flag.rst);
    const traffic = first.program.counters.traffic(2);
    const waiting = first.program.signals(2);
    first.end();

    const next = new Instance(directory, { vips: [web(room + 1)] });
    expect(next.program.capacity.backends).toBeGreaterThan(room);
    expect(next.program.placed[0]!.backends).toHaveLength(room + 1);
    expect(next.program.counters.traffic(2)).toEqual(traffic);
    expect(traffic).toMatchObject({ packets: 41, flows: 20, held: 19 });
    expect(next.samples(2, 'handshake')).toBe(20);
    expect(next.program.signals(2)).toEqual(waiting);
    expect([...next.program.slots(0)]).toEqual(Array(slots).fill(2));
    expect(next.send(7, flag.ack)).toBe(2);
    next.point(0, room);
    expect(next.establish(100)).toBe(room);
    expect(next.program.counters.traffic(room)).toMatchObject({ packets: 2, flows: 1, held: 1 });
    expect(next.program.counters.traffic(2)).toMatchObject({ packets: 42, flows: 20, held: 19 });
    next.end();

    // And again with the same room, which is shared from now on.
    const last = new Instance(directory, { vips: [web(room + 1)] });
    expect(last.program.counters.traffic(2)).toMatchObject({ packets: 42, flows: 20, held: 19 });
    expect(last.samples(2, 'handshake')).toBe(20);
  });

  test('makes room for tables of more vips than before, and those that are there stay where they are', () => {
    enterLab();
    const directory = pinDirectory();
    const first = new Instance(directory, { vips: [web(3)] });
    first.point(0, 2);
    first.establish(1);
    first.end();
    const others = Array.from({ length: 5 }, (_, i) => vip(`10.0.2.${i}:80/tcp`, 2, 'auto', 1031));
    const next = new Instance(directory, { vips: [web(3), ...others] });
    expect([...next.program.slots(0)]).toEqual(Array(slots).fill(2));
    expect(next.send(1, flag.ack)).toBe(2);
    expect(next.send(1, flag.syn, '10.0.2.4')).toBe(-1);
    const { vip: index, backends } = next.program.placed[5]!;
    next.point(index, backends[1]!);
    expect(next.send(1, flag.syn, '10.0.2.4')).toBe(backends[1]!);
    expect(next.send(2, flag.syn)).toBe(2);
    expect(next.program.counters.traffic(2)).toMatchObject({ packets: 4, flows: 2 });
  });

  test('keeps tables of other sizes than those asked for, and says so', () => {
    enterLab();
    const directory = pinDirectory();
    const first = new Instance(directory, { vips: [web(2)], flows: 1024 });
    first.point(0, 1);
    first.establish(1);
    first.end();
    const next = new Instance(directory, { vips: [vip('10.0.0.1:80/tcp', 2, 'auto', 31)], flows: 9000 });
    expect(next.installed.notices).toEqual([
      'the flow table that runs is kept: it is made for 1024 flows and not 9000; to make another one, and lose its flows: inband detach',
      'vip 10.0.0.1:80/tcp keeps its table of 13 slots; for another one: inband detach',
    ]);
    expect(next.program.slots(0)).toHaveLength(slots);
    expect(next.program.capacity.flows).toBe(1024);
    expect(next.send(1, flag.ack)).toBe(1);
  });

  test('measures new flows by another estimator, and counts on what was measured before', () => {
    enterLab();
    const directory = pinDirectory();
    const first = new Instance(directory, { vips: [web(2, 'ensemble')] });
    first.point(0, 1);
    first.establish(1);
    expect(first.samples(1, 'handshake')).toBe(1);
    first.end();
    const next = new Instance(directory, { vips: [web(2, 'auto')] });
    expect(next.program.kinds).toContain('request');
    expect(next.program.kinds.some((kind) => kind.startsWith('ensemble'))).toBe(true);
    expect(next.samples(1, 'handshake')).toBe(1);
    expect(next.send(1, flag.ack)).toBe(1);
    next.establish(2);
    expect(next.samples(1, 'handshake')).toBe(2);
    const flows: [number, string][] = [];
    next.program.scanFlows(0, Number(process.hrtime.bigint()), ({ clientPort, estimator }) =>
      flows.push([clientPort, estimator]),
    );
    expect(flows.sort()).toEqual([
      [1, 'ensemble'],
      [2, 'auto'],
    ]);
  });
});

describe('what runs goes on as it is', () => {
  /** Starts one, sees to it that the next cannot start, and that nothing has changed. */
  function refused(vips: readonly XdpVip[]): Error & { code?: string; hint?: string } {
    enterLab();
    const directory = pinDirectory();
    const first = new Instance(directory, { vips: [web(2)] });
    first.point(0, 1);
    first.establish(1);
    first.end();
    const before = [readdirSync(directory, { recursive: true }), hookHolder(interfaceNamed('lb0'))];
    const error = thrownBy(() => new Instance(directory, { vips }));
    expect([readdirSync(directory, { recursive: true }), hookHolder(interfaceNamed('lb0'))]).toEqual(before);
    const next = new Instance(directory, { vips: [web(2)] });
    expect(next.send(1, flag.ack)).toBe(1);
    expect(next.installed.notices).toEqual([]);
    return error;
  }

  test('when the vips are more than its table was made for', () => {
    const error = refused(Array.from({ length: 1100 }, (_, i) => vip(`10.1.${i >> 8}.${i & 255}:80/tcp`, 1)));
    expect(error).toMatchObject({ code: 'LIMIT' });
    expect(error.hint).toMatch(
      /a table made for \d+ vips; to make a larger one, and lose them: inband detach/,
    );
  });

  test('when a vip is configured twice', () => {
    expect(refused([web(1), web(2)])).toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('when the process that wants to run it is not to pin, which is told where it is pinned', () => {
    enterLab();
    const directory = pinDirectoryOf('lb0');
    onTestFinished(() => removePins(directory));
    new Instance(directory, { vips: [web(2)] }).end();
    const error = thrownBy(() => new Instance(undefined, { vips: [web(2)] }));
    expect(error).toMatchObject({
      code: 'HOOK_TAKEN',
      message: 'lb0: a load balancer that was pinned runs there',
      hint: `go on with it: --datapath xdp --pin ${directory}; or take it down: inband detach --interface lb0 --pin ${directory}`,
    });
  });

  test('when another datapath is asked for, which would see no packet', async () => {
    enterLab();
    const directory = pinDirectory();
    new Instance(directory, { vips: [web(2)] }).end();
    await expect(openDatapath('capture', options(directory))).rejects.toMatchObject({
      code: 'HOOK_TAKEN',
      hint: expect.stringContaining(`inband detach --interface lb0 --pin ${directory}`),
    });
  });
});

describe('a datapath', () => {
  test('that is pinned forwards on when it is closed, is adopted, and ends when it is detached', () => {
    enterLab();
    const directory = pinDirectory();
    const first = XdpDatapath.open(options(directory));
    expect(first).toMatchObject({ adopted: false, pinned: directory });
    first.slots(0).fill(0);
    first.close();
    expect(hookHolder(interfaceNamed('lb0'))).toBeDefined();
    const next = XdpDatapath.open(options(directory));
    expect(next).toMatchObject({ adopted: true, pinned: directory });
    expect([...next.slots(0)]).toEqual(Array(13).fill(0));
    next.detach();
    expect(hookHolder(interfaceNamed('lb0'))).toBeUndefined();
    expect(existsSync(directory)).toBe(false);
  });

  test('stays in the mode that it was started in', () => {
    enterLab();
    ip('link', 'set', 'lo', 'up');
    const onLoopback = { ...options(pinDirectory()), interface: 'lo' };
    const first = XdpDatapath.open(onLoopback);
    expect(first).toMatchObject({ mode: 'generic', reason: expect.stringContaining('no native XDP') });
    first.close();
    const next = XdpDatapath.open(onLoopback);
    expect(next).toMatchObject({ adopted: true, mode: 'generic', reason: 'it was started in generic mode' });
    next.detach();
  });

  for (const [what, pin] of [
    ['pinned', true],
    ['not pinned', false],
  ] as const) {
    test(`that is ${what} goes on when its interface was deleted and made again`, async () => {
      const { peer } = enterLab();
      const directory = pinDirectory();
      const datapath = XdpDatapath.open(options(pin ? directory : undefined));
      onTestFinished(() => datapath.detach());
      datapath.slots(0).fill(0);
      const poll = () => {
        datapath.poll();
        return datapath.notices();
      };
      expect(poll()).toEqual([]);
      ip('link', 'del', 'lb0');
      await expect
        .poll(poll, { timeout: 5_000 })
        .toEqual(['nothing is forwarded: the program is off lb0, which is gone']);
      ip('link', 'add', 'lb0', 'type', 'veth', 'peer', 'name', 'peer0', 'netns', peer);
      await expect
        .poll(poll, { timeout: 5_000 })
        .toEqual(['nothing is forwarded: the program is off lb0, which is down']);
      ip('link', 'set', 'lb0', 'up');
      await expect.poll(poll, { timeout: 5_000 }).toEqual(['lb0 is there again: forwarding goes on']);
      expect(hookHolder(interfaceNamed('lb0'))).toMatchObject({ programName: 'inband' });
      expect([...datapath.slots(0)]).toEqual(Array(slots).fill(0));
      if (!pin) return;
      datapath.close();
      const next = XdpDatapath.open(options(directory));
      onTestFinished(() => next.detach());
      expect(next.adopted).toBe(true);
      expect([...next.slots(0)]).toEqual(Array(slots).fill(0));
    });
  }

  test('is adopted under the name that its interface has got', () => {
    enterLab();
    const directory = pinDirectoryOf('lb0');
    onTestFinished(() => removePins(directory));
    XdpDatapath.open(options(directory)).close();
    ip('link', 'set', 'lb0', 'down');
    ip('link', 'set', 'lb0', 'name', 'wan0');
    ip('link', 'set', 'wan0', 'up');
    expect(pinDirectoryOf('lb0')).toBe(directory);
    expect(pinDirectoryOf('wan0')).toBe(directory);
    expect(pinDirectoryOf('lo')).not.toBe(directory);
    const next = XdpDatapath.open({ ...options(directory), interface: 'wan0' });
    expect(next.adopted).toBe(true);
    next.detach();
    expect(pinDirectoryOf('wan0')).not.toBe(directory);
  });

  test('is adopted on an interface that is down, where none is started', () => {
    enterLab();
    const directory = pinDirectory();
    ip('link', 'set', 'lb0', 'down');
    expect(thrownBy(() => XdpDatapath.open(options(directory)))).toMatchObject({ code: 'ENVIRONMENT' });
    ip('link', 'set', 'lb0', 'up');
    XdpDatapath.open(options(directory)).close();
    ip('link', 'set', 'lb0', 'down');
    const next = XdpDatapath.open(options(directory));
    expect(next.adopted).toBe(true);
    next.poll();
    expect(next.obstacle(next.placed[0]!.backends[0]!)).toBeDefined();
    next.detach();
  });

  test('that is not pinned ends when it is closed', () => {
    enterLab();
    const datapath = XdpDatapath.open(options());
    expect(datapath.pinned).toBeUndefined();
    datapath.close();
    expect(hookHolder(interfaceNamed('lb0'))).toBeUndefined();
  });

  test('runs without pins where there is no bpf file system, and says so once, unless it must be pinned', () => {
    enterLab();
    const datapath = XdpDatapath.open(options('/tmp/inband-pins'));
    onTestFinished(() => datapath.close());
    expect(datapath.pinned).toBeUndefined();
    expect(datapath.notices()).toEqual([
      '/tmp/inband-pins is in no BPF file system: forwarding ends with this process',
    ]);
    expect(datapath.notices()).toEqual([]);
    const must = { ...options('/tmp/inband-pins'), pinRequired: true };
    expect(thrownBy(() => XdpDatapath.open(must))).toMatchObject({ code: 'ENVIRONMENT' });
  });

  test('of a user that may not remove pins ends all the same, and the next one removes them', () => {
    enterLab();
    const directory = pinDirectory();
    const datapath = XdpDatapath.open(options(directory));
    process.seteuid!(65_534);
    try {
      datapath.detach();
    } finally {
      process.seteuid!(0);
    }
    expect(hookHolder(interfaceNamed('lb0'))).toBeUndefined();
    expect(existsSync(directory)).toBe(true);
    const next = XdpDatapath.open(options(directory));
    expect(next.adopted).toBe(false);
    next.detach();
    expect(existsSync(directory)).toBe(false);
  });
});

test('the configuration is where the next version of the same ABI looks for it', () => {
  enterLab();
  const { program } = new Instance(undefined, { vips: [web(1)] });
  expect(program.object.globals.get('config')).toMatchObject({ map: '.rodata', offset: configOffset });
});
