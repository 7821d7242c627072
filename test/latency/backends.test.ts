import { describe, expect, it } from 'vitest';
import type { Estimator } from '../../src/latency/estimator.ts';
import { createEstimators } from '../../src/latency/registry.ts';
import { roomFor } from '../../src/latency/room.ts';
import { ServerClocks, serverTicks, tickUnknown } from '../../src/latency/server-clock.ts';
import { SignalMemory } from '../../src/latency/signal-memory.ts';
import { signalWord } from '../../src/latency/wheel-signals.ts';
import { Packet, tcpAck, tcpSyn } from '../../src/net/packet.ts';
import { ns } from '../../src/units.ts';
import { buildFrame, ip } from '../support/frames.ts';

const names = ['auto', 'gap', 'pirate', 'ensemble:smooth:backend', 'ensemble:smooth:flow'] as const;

function create(name: string, backends: number): Estimator {
  const settings = { timeoutsNs: [1e5, 1e6].map(ns), epochNs: ns(1e8) };
  const [estimator] = createEstimators([name], settings, { flows: 64, backends });
  return estimator!;
}

/** Shows an estimator an upload and its requests to a backend, and gives the samples. */
function drive(estimator: Estimator, backend: number, startNs = 1e12): string[] {
  const samples: string[] = [];
  const packet = new Packet();
  const emit = (kind: number, latencyNs: number) => samples.push(`${kind}:${latencyNs}`);
  let now = startNs;
  let [seq, ack] = [1, 1];
  const show = (flow: number, flags: number, bytes: number) => {
    const data = buildFrame({
      ...{ link: 101, src: ip('192.0.2.1'), dst: ip('10.0.0.1') },
      tcp: { srcPort: 1000 + flow, dstPort: 80, seq, ack, flags },
      payload: new Uint8Array(bytes),
    });
    packet.decode(data, 0, data.length, data.length, 101);
    if (flags === tcpSyn) estimator.open(flow, backend, packet, ns(now));
    else estimator.observe(flow, backend, packet, ns(now), emit);
    seq += bytes + (flags === tcpSyn ? 1 : 0);
  };
  show(0, tcpSyn, 0);
  now += 300_000;
  show(0, tcpAck, 0);
  for (let i = 0; i < 600; i++) {
    // Two segments and a pause, with an answer now and then.
    show(0, tcpAck, 1_448);
    now += 5_000;
    show(0, tcpAck, 300);
    now += 400_000 + (i % 7) * 1_000;
    if (i % 3 === 0) ack += 100;
  }
  estimator.close?.(0, backend);
  return samples;
}

describe('estimators get backends as they come', () => {
  for (const name of names) {
    it(`${name} measures those that came later as those that were there at first`, () => {
      const expected = drive(create(name, 40), 33);
      const estimator = create(name, 0);
      for (let backend = 0; backend < 40; backend++) estimator.begin?.(backend);
      expect(drive(estimator, 33)).toEqual(expected);
      expect(expected.length).toBeGreaterThan(0);
    });

    it(`${name} forgets who had the number before, and nobody else`, () => {
      const estimator = create(name, 2);
      const fresh = drive(estimator, 1);
      const again = drive(estimator, 1, 2e12);
      estimator.begin?.(1);
      expect(drive(estimator, 1, 3e12)).toEqual(fresh);
      estimator.begin?.(0);
      drive(estimator, 0, 4e12);
      const other = create(name, 2);
      drive(other, 1);
      expect(drive(other, 1, 2e12)).toEqual(again);
    });
  }
});

it("what is known of a server's clock is that backend's, as long as it has the number", () => {
  const clocks = new ServerClocks(1);
  const learn = (backend: number) => {
    for (let i = 0; i < 2; i++) clocks.vote(backend, 20, 20 * serverTicks[0]!.length);
  };
  learn(0);
  clocks.begin(5);
  expect([clocks.tick(0), clocks.tick(5)]).toEqual([0, tickUnknown]);
  learn(5);
  clocks.begin(0);
  expect([clocks.tick(0), clocks.tick(5)]).toEqual([tickUnknown, 0]);
});

describe('signals', () => {
  it('of a new backend begin at zero, and readers of the one before keep what it had', () => {
    const memory = new SignalMemory(1);
    memory.begin(3);
    const before = memory.of(3);
    memory.push(3, 0);
    memory.begin(3);
    memory.count(3, signalWord.handshakes);
    const after = memory.of(3);
    for (const reader of [before, after]) reader.update(ns(1e6));
    expect([before.requests, before.handshakes]).toEqual([1, 0]);
    expect([after.requests, after.handshakes]).toEqual([0, 1]);
  });
});

describe('room for more', () => {
  it('is an array with what there was, at least twice as long', () => {
    const array = Int32Array.of(1, -2, 3);
    expect(roomFor(array, 3)).toBe(array);
    expect(roomFor(array, 4)).toEqual(Int32Array.of(1, -2, 3, 0, 0, 0));
    expect(roomFor(array, 9)).toHaveLength(9);
    expect(roomFor(new Uint8Array(0), 1)).toEqual(new Uint8Array(1));
  });
});
