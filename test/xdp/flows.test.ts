import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { needsXdp } from '../native/support.ts';
import { buildFrame, ip } from '../support/frames.ts';
import { type FlowLine, flowTable, seededRandom, startNs, TestProgram, vip, xdp } from './support.ts';

beforeEach(needsXdp);

const flag = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;
const second = 1e9;
/** Flows of a table that has one set of eight lines. */
const oneSet = 4;

interface Segment {
  readonly port: number;
  readonly flags?: number;
  readonly seq?: number;
  readonly host?: number;
}

const frameOf = ({ port, flags = flag.ack, seq = 1, host = 1 }: Segment) =>
  buildFrame({
    src: ip(`192.0.${host >> 8}.${host & 255}`),
    dst: ip('10.0.0.1'),
    tcp: { srcPort: port, dstPort: 80, flags, seq },
  });

/** A program whose only vip sends all new flows to the backend that `point` says. */
class Bed {
  readonly bed: TestProgram;
  nowNs = startNs;

  constructor(flows: number, backends = 16, secret?: BigUint64Array) {
    const vips = [vip('10.0.0.1:80/tcp', 13)];
    this.bed = new TestProgram({ vips, backends, flows, ...(secret && { secret }) });
  }

  point(backend: number): void {
    this.bed.program.slots(0).fill(backend);
  }

  send(segment: Segment): number {
    return this.bed.run(frameOf(segment), this.nowNs).backend;
  }

  /** A flow with two packets: established. */
  establish(port: number): void {
    this.send({ port, flags: flag.syn });
    this.send({ port });
  }

  get counts(): Record<string, number> {
    return this.bed.program.counters.flows();
  }

  get ports(): number[] {
    const { lines } = flowTable(this.bed.program);
    return lines.map(({ clientPort }) => clientPort).sort((a, b) => a - b);
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe('a flow ends', () => {
  for (const [state, segments, idleS] of [
    ['seen once', [{ flags: flag.syn }], 10],
    ['established', [{ flags: flag.syn }, {}], 900],
    ['closing', [{ flags: flag.syn }, {}, { flags: flag.fin | flag.ack }], 10],
  ] as const) {
    test(`after more than ${idleS} s without a packet when it is ${state}, and not before`, () => {
      const bed = new Bed(64);
      bed.point(1);
      for (const segment of segments) bed.send({ port: 1, ...segment });
      bed.point(2);
      bed.nowNs += idleS * second;
      expect(bed.send({ port: 1, flags: flag.ack | flag.fin })).toBe(1);
      bed.nowNs += 10 * second + 1;
      expect(bed.send({ port: 1 })).toBe(2);
      expect(bed.counts).toMatchObject({ created: 2, idle: 1, active: 1 });
    });
  }

  test('with a reset, which still goes to its backend', () => {
    const bed = new Bed(64);
    bed.point(1);
    bed.establish(1);
    bed.point(2);
    expect(bed.send({ port: 1, flags: flag.rst })).toBe(1);
    expect(bed.ports).toEqual([]);
    expect(bed.send({ port: 1 })).toBe(2);
    expect(bed.counts).toMatchObject({ created: 2, closed: 1 });
  });

  test('with a SYN of another sequence number, and not with the same SYN again', () => {
    const bed = new Bed(64);
    bed.point(1);
    bed.send({ port: 1, flags: flag.syn, seq: 7 });
    bed.point(2);
    expect(bed.send({ port: 1, flags: flag.syn, seq: 7 })).toBe(1);
    expect(bed.send({ port: 1, flags: flag.syn, seq: 8 })).toBe(2);
    expect(bed.send({ port: 1, flags: flag.syn, seq: 8 })).toBe(2);
    expect(bed.counts).toMatchObject({ created: 2, reopened: 1, active: 1 });
  });
});

describe('in a full set', () => {
  test('the unestablished flow that is idle longest makes room', () => {
    const bed = new Bed(oneSet);
    bed.point(1);
    bed.establish(1);
    for (const port of range(2, 9)) {
      bed.nowNs += 1000;
      bed.send({ port, flags: flag.syn });
    }
    bed.nowNs += 1000;
    bed.send({ port: 2, flags: flag.syn });
    bed.send({ port: 9, flags: flag.syn });
    expect(bed.ports).toEqual([1, 2, 4, 5, 6, 7, 8, 9]);
    expect(bed.counts).toMatchObject({ created: 9, evicted_unestablished: 1, active: 8 });
  });

  test('a flow past its time-out makes room before any other', () => {
    const bed = new Bed(oneSet);
    bed.point(1);
    for (const port of range(1, 8)) bed.send({ port, flags: flag.syn });
    bed.establish(8);
    bed.send({ port: 8, flags: flag.fin | flag.ack });
    bed.nowNs += 10 * second + 1;
    for (const port of range(1, 8)) bed.send({ port, flags: flag.syn, seq: 2 });
    bed.send({ port: 9, flags: flag.syn });
    expect(bed.ports).toEqual([...range(1, 8), 9]);
    expect(bed.counts).toMatchObject({ idle: 8, evicted_unestablished: 0 });
  });

  test('an established flow makes room once it is idle for a minute; before that a new flow is refused', () => {
    const bed = new Bed(oneSet);
    bed.point(1);
    for (const port of range(1, 9)) {
      bed.establish(port);
      bed.nowNs += 1000;
    }
    bed.point(2);
    bed.nowNs += 59 * second;
    expect(bed.send({ port: 9 })).toBe(2);
    bed.point(3);
    expect(bed.send({ port: 9 })).toBe(3);
    expect(bed.counts).toMatchObject({ refused: 2, untracked: 2, evicted_idle: 0 });

    bed.nowNs += second;
    bed.send({ port: 1 });
    expect(bed.send({ port: 9 })).toBe(3);
    bed.point(4);
    expect(bed.send({ port: 9 })).toBe(3);
    expect(bed.ports).toEqual([1, ...range(3, 10)]);
    expect(bed.counts).toMatchObject({ refused: 2, evicted_idle: 1 });
  });
});

test('whatever the secret, flows of one client with ports in a row find room', () => {
  for (let places = 1n; places <= 20n; places++) {
    // Sums for such keys are in this many narrow ranges.
    const step = (1n << 56n) / places + (1n << 40n);
    const bed = new Bed(256, 16, BigUint64Array.from([3n, step, 5n, 7n, step, 11n]));
    bed.point(1);
    for (const port of range(1, 129)) bed.establish(port);
    const none = { refused: 0, evicted_unestablished: 0 };
    expect(bed.counts, `${places} places`).toMatchObject({ created: 128, ...none });
  }
});

test('a SYN flood evicts no established flow', () => {
  const bed = new Bed(256);
  const random = seededRandom(3);
  bed.point(1);
  for (const port of range(1, 49)) bed.establish(port);
  bed.point(2);
  for (let i = 0; i < 20_000; i++) {
    bed.nowNs += 1e6;
    bed.send({
      port: 1024 + Math.floor(random() * 60_000),
      flags: flag.syn,
      host: 2 + Math.floor(random() * 60_000),
    });
  }
  expect(bed.counts.evicted_unestablished).toBeGreaterThan(10_000);
  for (const port of range(1, 49)) expect(bed.send({ port })).toBe(1);
  expect(bed.counts).toMatchObject({ refused: 0, evicted_idle: 0 });
});

test('as many flows fit as the table was made for', () => {
  const flows = 20_000;
  const bed = new Bed(flows);
  const random = seededRandom(11);
  bed.point(1);
  for (let i = 0; i < flows; i++) {
    const client = { port: 1 + (i % 60_000), host: Math.floor(random() * 65_536) };
    bed.send({ ...client, flags: flag.syn });
    bed.send(client);
  }
  expect(bed.counts).toMatchObject({ created: flows, active: flows, refused: 0, contended: 0, untracked: 0 });
  const { lines, spilled } = flowTable(bed.bed.program);
  expect(lines).toHaveLength(flows);
  expect(spilled).toBe(lines.reduce((sum, { choice }) => sum + choice, 0));
  // Nearly all are where a search begins.
  expect(lines.filter(({ choice }) => choice > 0).length).toBeLessThan(flows / 50);
});

describe('never a wrong backend', () => {
  const keyOf = ({ clientAddress, clientPort }: FlowLine) => `${clientAddress >>> 0}:${clientPort}`;
  const segment = fc.record({
    port: fc.integer({ min: 1, max: 40 }),
    flags: fc.constantFrom(
      flag.ack,
      flag.ack,
      flag.ack,
      flag.syn,
      flag.fin | flag.ack,
      flag.rst,
      flag.syn | flag.rst,
    ),
    seq: fc.nat(2),
    backend: fc.nat(15),
    pauseNs: fc.constantFrom(0, 1000, 1e6, second, 11 * second, 61 * second, 901 * second),
  });

  for (const flows of [oneSet, 8, 12, 40]) {
    test(`in a table of ${Math.ceil(flows / 4)} sets, a flow with a line goes to its first backend, and others by their slot`, () => {
      fc.assert(
        fc.property(fc.array(segment, { minLength: 100, maxLength: 400 }), (segments) => {
          const bed = new Bed(flows);
          /** The backend that each flow with a line was first sent to. */
          let pinned = new Map<string, number>();
          for (const { backend, pauseNs, ...sent } of segments) {
            bed.point(backend);
            bed.nowNs += pauseNs;
            const key = `${ip('192.0.0.1').words[0]! >>> 0}:${sent.port}`;
            const before = bed.counts;
            const went = bed.send(sent);
            const after = bed.counts;
            // A flow that began anew, or has no line, is one that the slot decides on.
            const isKnown =
              pinned.has(key) &&
              ['created', 'untracked', 'idle', 'reopened'].every((name) => before[name] === after[name]);
            expect(went).toBe(isKnown ? pinned.get(key) : backend);
            const { lines, spilled } = flowTable(bed.bed.program);
            const held = new Map(lines.map((line) => [keyOf(line), line.backend]));
            expect(held.size).toBe(lines.length);
            expect(after.active).toBe(lines.length);
            expect(spilled).toBe(lines.reduce((sum, { choice }) => sum + choice, 0));
            for (const [flow, to] of held) expect(to).toBe(flow === key ? went : pinned.get(flow));
            pinned = held;
          }
          bed.bed.program.close();
        }),
        { numRuns: 8 },
      );
    });
  }
});

test('packets of no vip do not reach the flow table', () => {
  const bed = new Bed(64);
  bed.point(1);
  const frame = buildFrame({ src: ip('192.0.2.1'), dst: ip('10.0.0.2'), tcp: { srcPort: 1, dstPort: 80 } });
  expect(bed.bed.run(frame, startNs).verdict).toBe(xdp.pass);
  expect(flowTable(bed.bed.program).lines).toEqual([]);
});
