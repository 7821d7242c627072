import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { BpfObject } from '../../src/datapath/xdp/native.ts';
import { XdpProgram } from '../../src/datapath/xdp/program.ts';
import { epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { backendOf, slotHashIpv4, vipSeedIpv4 } from '../../src/maglev/hash.ts';
import { ns } from '../../src/units.ts';
import { compileBpf } from '../native/compile.ts';
import { needsXdp, root, temporaryDirectory } from '../native/support.ts';
import { buildFrame, ip } from '../support/frames.ts';
import { flowTable, ingress, macOf, sourceMac, vip, withBackends } from './support.ts';

beforeEach(needsXdp);

const flows = 64;
const backends = 64;
const repeat = 500_000;
const client = ip('192.0.2.1');
const service = vip('10.0.0.1:80/tcp', 251);

/** The program with slots for all backends, and time-outs so short that lines end all the time. */
function load(tableFlows: number): XdpProgram {
  const flowTimeouts = {
    newNs: ns(20e3),
    establishedNs: ns(100e3),
    closingNs: ns(10e3),
    evictableNs: ns(50e3),
  };
  const program = XdpProgram.load({
    ...{
      flows: tableFlows,
      vips: withBackends([service], backends),
      timeoutsNs: timeoutsDefault,
      epochNs: epochDefault,
    },
    ...{ cliff: 'smooth', flowTimeouts },
  });
  onTestFinished(() => program.close());
  const slots = program.slots(0);
  for (let slot = 0; slot < slots.length; slot++) slots[slot] = slot % backends;
  for (let i = 0; i < backends; i++) program.setBackend(i, { mac: macOf(i), sourceMac, ifindex: ingress });
  return program;
}

/** The program that sends packets through it, told where each flow has to go. */
function loadStress(program: XdpProgram): BpfObject {
  const stress = BpfObject.load(compileBpf(readFileSync(`${root}test/xdp/stress.bpf.c`, 'utf8')));
  onTestFinished(() => stress.close());
  stress.setTail('tested', 0, 'inband', program.object);
  const { map, offset } = stress.globals.get('backends')!;
  const expected = new Uint8Array(stress.memory(map), offset, flows);
  const { address, port, proto } = service.endpoint;
  const seed = vipSeedIpv4(0, address.words[0], port, proto);
  for (let flow = 0; flow < flows; flow++) {
    expected[flow] = backendOf(program.slots(0), slotHashIpv4(seed, client.words[0] >>> 0, (4 << 8) | flow));
  }
  return stress;
}

for (const tableFlows of [4, 16, 64]) {
  test(`two CPUs that share a table of ${2 * tableFlows} lines and ${flows} flows lose none and mistake none, while it is swept`, async (context) => {
    if (availableParallelism() < 2) context.skip('one CPU');
    const directory = temporaryDirectory();
    const program = load(tableFlows);
    const stress = loadStress(program);
    const runner = join(directory, 'run-pinned');
    execFileSync('cc', ['-O2', `${root}test/xdp/run-pinned.c`, '-o', runner, '-lbpf']);
    const frame = buildFrame({ src: client, dst: ip('10.0.0.1'), tcp: { srcPort: 1024, dstPort: 80 } });
    const run = (cpu: number) =>
      promisify(execFile)(runner, [
        'stress',
        String(cpu),
        String(repeat),
        Buffer.from(frame).toString('hex'),
      ]);
    let isRunning = true;
    const runs = Promise.all([run(0), run(1)]).finally(() => {
      isRunning = false;
    });
    while (isRunning) {
      program.sweep(0, program.sets);
      await new Promise(setImmediate);
    }
    await runs;

    const { map, offset } = stress.globals.get('per_cpu')!;
    const perCpu = new BigUint64Array(stress.memory(map), offset, 2 * 4);
    const [ran, wrong] = [1, 2].map((word) => [perCpu[word], perCpu[4 + word]].map(Number));
    expect(ran).toEqual([repeat, repeat]);
    expect(wrong).toEqual([0, 0]);

    const { lines, spilled } = flowTable(program);
    const counts = program.counters.flows();
    // A line that a CPU is filling would have no vip, and be one too many.
    expect(lines.every(({ clientPort }) => clientPort >= 1024 && clientPort < 1024 + flows)).toBe(true);
    expect(counts.active).toBe(lines.length);
    for (let backend = 0; backend < backends; backend++) {
      const held = lines.filter((line) => line.backend === backend).length;
      expect(program.counters.traffic(backend).held, `of backend ${backend}`).toBe(held);
    }
    expect(spilled).toBe(lines.reduce((sum, { choice }) => sum + choice, 0));
    expect(Object.values(program.counters.packets()).reduce((sum, count) => sum + count)).toBe(2 * repeat);
    expect(counts.created).toBeGreaterThan(repeat / 100);
  });
}
