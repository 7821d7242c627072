import { beforeEach, expect, test } from 'vitest';
import { inbandSample } from '../../src/generated/layout.ts';
import { binCount, binOf, binStartNs } from '../../src/latency/bins.ts';
import { needsXdp } from '../native/support.ts';
import { buildFrame, ip } from '../support/frames.ts';
import { startNs, TestProgram, vip } from './support.ts';

beforeEach(needsXdp);

const kind = { handshake: 0, ensemble: 1 } as const;
const client = ip('192.0.2.9');
const syn = 2;
const ack = 16;

const frameOf = (srcPort: number, flags = ack, seq = 1) =>
  buildFrame({ src: client, dst: ip('10.0.0.1'), tcp: { srcPort, dstPort: 80, flags, seq } });

function loaded(backends = 1): TestProgram {
  const bed = new TestProgram({ vips: [vip('10.0.0.1:80/tcp', 13)], backends });
  bed.program.slots(0).fill(0);
  return bed;
}

test('a latency goes into the bin that TypeScript says, from none to the longest', () => {
  const bed = loaded();
  const live = bed.program.histogram(0, kind.handshake);
  const [before, after] = [new Uint32Array(binCount), new Uint32Array(binCount)];
  const latencies = [0, 1, 63, 64, 1023, 1024, 5_000, 123_456, 9_999_999, 2 ** 31, 2 ** 32, 2 ** 33 - 1];
  const lastOfBins = latencies.map((latency) => binStartNs(binOf(latency) + 1) - 1);
  for (const [i, latencyNs] of [...latencies, ...lastOfBins].entries()) {
    const window = bed.program.window(0, kind.handshake);
    live.read(before);
    bed.run(frameOf(1 + i, syn), startNs);
    bed.run(frameOf(1 + i), startNs + latencyNs);
    expect(window.update()).toBe(true);
    expect([window.count, window.lastNs, window.meanNs]).toEqual([1, latencyNs, latencyNs]);
    live.read(after);
    const counted = [...after.keys()].filter((bin) => after[bin] !== before[bin]);
    expect(counted).toEqual([binOf(latencyNs)]);
  }
});

test('a clock that goes backwards gives no sample but a count of it', () => {
  const bed = loaded();
  bed.run(frameOf(1, syn), startNs);
  bed.run(frameOf(1), startNs - 1);
  expect(bed.program.histogram(0, kind.handshake).count).toBe(0);
  expect(bed.program.counters.flows()).toMatchObject({ samples_dropped: 1 });
});

test('counts of CPUs are kept apart and read as one; the last sample is the latest of all', () => {
  const bed = loaded(2);
  const window = bed.program.window(0, kind.handshake);
  for (const [cpu, latencyNs] of [
    [1, 5_000],
    [0, 3_000],
  ] as const) {
    const port = 10 + cpu;
    bed.run(frameOf(port, syn), startNs + latencyNs, cpu);
    bed.run(frameOf(port), startNs + 2 * latencyNs, cpu);
  }
  window.update();
  expect([window.count, window.meanNs, window.lastNs]).toEqual([2, 4_000, 5_000]);
  expect(bed.program.histogram(0, kind.handshake).lastTimeNs).toBe(startNs + 10_000);
  expect(bed.program.histogram(1, kind.handshake).count).toBe(0);
});

test('samples are handed on only while somebody listens', () => {
  const bed = loaded();
  const handshake = (port: number) => {
    bed.run(frameOf(port, syn), startNs);
    bed.run(frameOf(port), startNs + 7_000);
  };
  handshake(1);
  bed.program.setListening(true);
  handshake(2);
  bed.program.setListening(false);
  handshake(3);
  expect(bed.program.drainSamples()).toEqual([
    {
      timeNs: startNs + 7_000,
      latencyNs: 7_000,
      kind: 0,
      clientAddress: client.words[0],
      clientPort: 2,
      vip: 0,
      backend: 0,
    },
  ]);
  expect(bed.program.drainSamples()).toEqual([]);
  expect(bed.program.histogram(0, kind.handshake).count).toBe(3);
});

test('samples that nobody reads are lost and counted, and stay in the histogram', () => {
  const bed = loaded();
  bed.program.setListening(true);
  const taken = 27_000;
  const first = frameOf(1, syn);
  const second = frameOf(1);
  const sequence = new DataView(first.buffer, 38);
  for (let i = 0; i < taken; i++) {
    sequence.setUint32(0, i);
    bed.run(first, startNs + i);
    bed.run(second, startNs + i);
  }
  let handed = 0;
  for (let count = -1; count !== 0; handed += count) count = bed.program.drainSamples().length;
  const { samples_lost } = bed.program.counters.flows();
  expect(handed + samples_lost!).toBe(taken);
  expect(handed).toBe(Math.floor((2 ** 20 - 1) / (inbandSample.size + 8)));
  expect(bed.program.histogram(0, kind.handshake).count).toBe(taken);
});
