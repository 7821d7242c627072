import { beforeEach, expect, test } from 'vitest';
import { inbandFlow } from '../../src/generated/layout.ts';
import { ns } from '../../src/units.ts';
import { needsXdp } from '../native/support.ts';
import { buildFrame, ip } from '../support/frames.ts';
import { seededRandom, startNs, TestProgram, vip } from './support.ts';

beforeEach(needsXdp);

const flag = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;
const backends = 4;

interface Segment {
  readonly client?: string;
  readonly port: number;
  readonly flags?: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly bytes?: number;
}

const frameOf = ({ client = '192.0.2.1', port, flags = flag.ack, seq = 1, ack = 1, bytes = 0 }: Segment) =>
  buildFrame({
    src: ip(client),
    dst: ip('10.0.0.1'),
    tcp: { srcPort: port, dstPort: 80, flags, seq, ack },
    payload: new Uint8Array(bytes),
  });

function loaded(options: { flows?: number; samplesPerPrefix?: number } = {}): TestProgram {
  const bed = new TestProgram({ vips: [vip('10.0.0.1:80/tcp', 13, 0, 'auto')], backends, ...options });
  const slots = bed.program.slots(0);
  slots.forEach((_, slot) => {
    slots[slot] = slot % backends;
  });
  return bed;
}

/** Requests in flight by what backends count, and by what the lines of flows hold. */
function inFlight({ program }: TestProgram, nowNs: number): { counted: number; held: number } {
  let counted = 0;
  for (let backend = 0; backend < backends; backend++) {
    const signals = program.signals(backend);
    signals.update(ns(nowNs));
    counted += signals.inFlight;
  }
  const bytes = new Uint8Array(program.object.memory('flows'));
  const keys = new BigUint64Array(program.object.memory('flows'));
  let held = 0;
  for (let at = 0; at < bytes.length; at += inbandFlow.size) {
    if (keys[at / 8] !== 0n) held += bytes[at + inbandFlow.fields.count.offset]!;
  }
  return { counted, held };
}

test('requests of flows that end, in whatever way and on whatever CPU, are in flight no longer', () => {
  const bed = loaded({ flows: 12 });
  const random = seededRandom(5);
  const below = (limit: number) => Math.floor(random() * limit);
  let nowNs = startNs;
  let most = 0;
  for (let i = 0; i < 20_000; i++) {
    nowNs += [1e3, 1e6, 1e9, 11e9, 61e9, 70e9][random() < 0.9 ? below(2) : below(6)]!;
    const flags = [flag.syn, flag.rst, flag.ack | flag.fin][random() < 0.15 ? below(3) : 9] ?? flag.ack;
    const bytes = flags === flag.ack ? below(3) * 50 : 0;
    const segment = { port: 1 + below(60), flags, seq: below(1000), ack: below(1000), bytes };
    bed.run(frameOf(segment), nowNs, below(2));
    if (i % 50 > 0) continue;
    const { counted, held } = inFlight(bed, nowNs);
    expect(counted).toBe(held);
    most = Math.max(most, counted);
  }
  expect(most).toBeGreaterThan(10);
  const { closed, reopened, idle, evicted_unestablished, evicted_idle } = bed.program.counters.flows();
  for (const ended of [closed, reopened, idle, evicted_unestablished, evicted_idle])
    expect(ended).toBeGreaterThan(10);
});

test('a request that is not answered grows old', () => {
  const bed = loaded();
  bed.run(frameOf({ port: 7, flags: flag.syn }), startNs);
  bed.run(frameOf({ port: 7, seq: 2 }), startNs + 1e6);
  bed.run(frameOf({ port: 7, seq: 2, bytes: 50 }), startNs + 2e6);
  const signals = Array.from({ length: backends }, (_, backend) => bed.program.signals(backend));
  for (const one of signals) one.update(ns(startNs + 42e6));
  const busy = signals.find(({ inFlight }) => inFlight > 0)!;
  expect(busy).toMatchObject({
    flows: 1,
    handshakes: 1,
    requests: 1,
    responses: 0,
    segments: 1,
    inFlight: 1,
  });
  expect(Math.abs(busy.oldestNs - 40e6)).toBeLessThan(2 ** 20);
  expect([busy.waiting(30e6), busy.waiting(50e6)]).toEqual([1, 0]);
});

test('a prefix of clients adds at most so many samples to a backend, a kind and a window', () => {
  const bed = loaded({ samplesPerPrefix: 5 });
  bed.program.slots(0).fill(0);
  const handshakes = (client: string, nowNs: number) => {
    for (let port = 1; port <= 50; port++) {
      bed.run(frameOf({ client, port, flags: flag.syn, seq: nowNs % 65_521 }), nowNs);
      bed.run(frameOf({ client, port, seq: (nowNs % 65_521) + 1 }), nowNs);
    }
    return bed.program.histogram(0, 0).count;
  };
  // Windows of 2^23 ns.
  const windowNs = 2 ** 23;
  const firstNs = Math.ceil(startNs / windowNs) * windowNs;
  expect(handshakes('192.0.2.1', firstNs)).toBe(5);
  expect(handshakes('192.0.2.200', firstNs + windowNs - 1)).toBe(5);
  expect(handshakes('198.51.100.1', firstNs)).toBe(10);
  expect(handshakes('192.0.2.1', firstNs + windowNs)).toBe(15);
  expect(bed.program.counters.flows()).toMatchObject({ samples_limited: 4 * 50 - 15 });
});
