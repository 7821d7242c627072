import { describe, expect, it } from 'vitest';
import type { About, Frame, ShownDecision } from '../../src/admin/dashboard/frame.ts';
import { DashboardRecorder } from '../../src/admin/dashboard/recorder.ts';
import type { Reason } from '../../src/control/reason.ts';
import { signalWord } from '../../src/latency/wheel-signals.ts';
import { ns } from '../../src/units.ts';
import { aStage, type Stage } from './balancer.ts';

const reason: Reason = {
  backend: 0,
  cause: 'slow',
  kind: 'request',
  latencyNs: 2e6,
  poolNs: 1e6,
  spanNs: ns(1e9),
  samples: 100,
  shareBefore: 0.5,
  shareAfter: 0.4,
};

async function recent(recorder: DashboardRecorder) {
  let text = '';
  for await (const part of recorder.recent()) text += part;
  const [about, decisions, ...frames] = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  return { about: about as About, decisions: decisions as ShownDecision[], frames: frames as Frame[] };
}

async function oneFrame(stage: Stage): Promise<Frame> {
  const recorder = new DashboardRecorder(stage.balancer);
  await recorder.record();
  return (await recent(recorder)).frames[0]!;
}

describe('what the dashboard records', () => {
  it('says what it is about', async () => {
    const stage = aStage({ reason: 'no BPF', vips: ['10.0.0.1:80/tcp', '10.0.0.1:81/tcp'] });
    const { about, decisions, frames } = await recent(new DashboardRecorder(stage.balancer));
    expect(about).toMatchObject({
      version: '1.2.3',
      interface: 'eth0',
      datapath: { name: 'capture', mode: 'libpcap', reason: 'no BPF' },
      flowsCapacity: 1_000,
      tickMs: 1,
    });
    expect(about.vips.map(({ vip }) => vip)).toEqual(['10.0.0.1:80/tcp', '10.0.0.1:81/tcp']);
    expect(about.vips[1]!.backends[0]).toEqual({ name: '10.0.0.11', weight: 0.5 });
    expect([decisions, frames]).toEqual([[], []]);
  });

  it('holds shares, latencies of the second before, traffic and signals of each backend', async () => {
    const stage = aStage();
    const recorder = new DashboardRecorder(stage.balancer);
    await recorder.record();
    for (let i = 1; i <= 100; i++) stage.samples.record(1, 0, i * 1e4, i);
    stage.traffic[1] = { packets: 20, bytes: 999, flows: 3 };
    stage.signals.count(1, signalWord.retransmits);
    stage.signals.push(1, 0);
    for (const signals of stage.services[0]!.signals) signals.update(ns(64e6));
    stage.services[0]!.obstacles = ['no answer to ARP', undefined];
    await recorder.record();
    await recorder.record();
    const [before, frame, after] = (await recent(recorder)).frames.map(({ vips }) => vips[0]!);
    expect(before!.p50).toEqual([null, null]);
    expect(frame).toMatchObject({
      kind: 'handshake',
      share: [0.5, 0.5],
      samples: [0, 100],
      packets: [0, 20],
      flows: [0, 3],
      inFlight: [0, 1],
      oldestMs: [0, 64],
      retransmits: [0, 1],
      obstacles: { 0: 'no answer to ARP' },
    });
    expect(frame!.p50[0]).toBeNull();
    expect(Math.abs(frame!.p50[1]! - 500)).toBeLessThan(500 / 16);
    expect(Math.abs(frame!.p99[1]! - 990)).toBeLessThan(990 / 16);
    expect(after!.samples).toEqual([0, 0]);
  });

  it('leaves signals out where nobody counts them', async () => {
    expect((await oneFrame(aStage({ hasSignals: false }))).vips[0]!.inFlight).toEqual([]);
  });

  it('counts frames, and takes on what the load balancer counts', async () => {
    const stage = aStage();
    const recorder = new DashboardRecorder(stage.balancer);
    await recorder.record();
    Object.assign(stage.packets, { tx: 7 });
    Object.assign(stage.flows, { active: 3 });
    await recorder.record();
    const { frames } = await recent(recorder);
    expect(frames.map(({ n }) => n)).toEqual([1, 2]);
    expect(frames[1]).toMatchObject({
      packets: { tx: 7 },
      flows: { active: 3 },
      ticks: 2_500,
      ticksLate: 3,
      uptimeS: 3,
    });
  });

  it('forgets the oldest frames: there are 600 at most', async () => {
    const recorder = new DashboardRecorder(aStage().balancer);
    for (let i = 0; i < 610; i++) await recorder.record();
    const { frames } = await recent(recorder);
    expect(frames).toHaveLength(600);
    expect(frames[0]!.n).toBe(11);
  });

  it('holds fewer frames of many backends: no more than 4 MB', async () => {
    const backends = Array.from({ length: 1_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
    const recorder = new DashboardRecorder(aStage({ backends }).balancer);
    for (let i = 0; i < 300; i++) await recorder.record();
    let bytes = 0;
    for await (const part of recorder.recent()) bytes += part.length;
    expect(bytes).toBeLessThan(5e6);
    expect((await recent(recorder)).frames.at(-1)!.n).toBe(300);
  });

  it('has the latest decisions in words, the last first, and no more than 100', async () => {
    const stage = aStage();
    const { decisions } = stage.services[0]!.pool;
    const recorder = new DashboardRecorder(stage.balancer);
    for (let i = 0; i < 30; i++) decisions.add(ns(i * 4e9), { ...reason, backend: i % 2 });
    await recorder.record();
    const first = (await recent(recorder)).decisions;
    expect(first).toHaveLength(30);
    expect(first[0]).toMatchObject({ vip: 0, backend: 1, steps: 1 });
    expect(first[0]!.text).toContain('request p50 2ms vs pool 1ms');
    expect(first.map(({ until }) => until)).toEqual(
      first.map(({ until }) => until).toSorted((a, b) => b - a),
    );
    const many = aStage({ backends: ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5'] });
    const other = new DashboardRecorder(many.balancer);
    for (let i = 0; i < 200; i++) {
      many.services[0]!.pool.decisions.add(ns(i * 4e9), { ...reason, backend: i % 5 });
      if (i % 50 === 49) await other.record();
    }
    const last = (await recent(other)).decisions;
    expect(last).toHaveLength(100);
    expect(last[0]!.until - last.at(-1)!.until).toBeCloseTo(99 * 4, 1);
  });

  it('hands frames on to those who listen, and decisions only when they are new', async () => {
    const stage = aStage();
    const recorder = new DashboardRecorder(stage.balancer);
    const events: string[] = [];
    const stop = recorder.listen((event) => events.push(event));
    await recorder.record();
    stage.services[0]!.pool.decisions.add(ns(1e9), reason);
    await recorder.record();
    await recorder.record();
    stop();
    await recorder.record();
    expect(events.map((event) => /^event: (\w+)\ndata: [^\n]+\n\n$/.exec(event)![1])).toEqual([
      'frame',
      'frame',
      'decisions',
      'frame',
    ]);
  });

  it('follows the policy to another kind of samples', async () => {
    const stage = aStage();
    const recorder = new DashboardRecorder(stage.balancer);
    await recorder.record();
    const { pool } = stage.services[0]!;
    for (let t = 1; t < 50; t++) {
      for (const backend of [0, 1]) stage.samples.record(backend, 1, 1e6, t * 1e8);
      for (const window of stage.windows) window.update();
      pool.decide(ns(t * 1e8));
    }
    expect(pool.kind).toBe('request');
    await recorder.record();
    for (const backend of [0, 1]) stage.samples.record(backend, 1, 3e6, 50e8);
    await recorder.record();
    const [, , frame] = (await recent(recorder)).frames;
    expect(frame!.vips[0]).toMatchObject({ kind: 'request', samples: [1, 1] });
  });
});
