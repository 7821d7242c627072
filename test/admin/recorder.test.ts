import { describe, expect, it } from 'vitest';
import { alignFrame } from '../../src/admin/dashboard/client.ts';
import type { Frame, Recorded } from '../../src/admin/dashboard/frame.ts';
import { DashboardRecorder } from '../../src/admin/dashboard/recorder.ts';
import { signalWord } from '../../src/latency/wheel-signals.ts';
import { ns } from '../../src/units.ts';
import { slowReason } from '../support/reason.ts';
import { aStage, type Stage } from './balancer.ts';

async function recent(recorder: DashboardRecorder) {
  let text = '';
  for await (const part of recorder.recent()) text += part;
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line): Recorded => JSON.parse(line));
  const abouts = lines.flatMap((line) => ('about' in line ? [line.about] : []));
  const frames = lines.flatMap((line) => ('frame' in line ? [line.frame] : []));
  const decisions = lines.flatMap((line) => ('decisions' in line ? line.decisions : []));
  return { about: abouts.at(-1)!, abouts, decisions, frames, lines };
}

async function oneFrame(stage: Stage): Promise<Frame> {
  const recorder = new DashboardRecorder(stage.balancer);
  await recorder.record();
  return (await recent(recorder)).frames[0]!;
}

describe('a frame seen from after a reload', () => {
  it('has the same figures where the same backends are now, and nothing of others', async () => {
    const stage = aStage({
      vips: ['10.0.0.1:80/tcp', '10.0.0.1:81/tcp'],
      backends: ['10.0.0.11', '10.0.0.12'],
    });
    Object.assign(stage.traffic[3]!, { packets: 7, bytes: 1, flows: 2, held: 1 });
    stage.services[1]!.states = ['ready', 'drain'];
    const recorder = new DashboardRecorder(stage.balancer);
    await recorder.record();
    const { about, frames } = await recent(recorder);
    const later = {
      ...about,
      vips: [
        { ...about.vips[1]!, backends: ['10.0.0.12', '10.0.0.13'].map((name) => ({ name, weight: 0.5 })) },
        { ...about.vips[0]!, vip: '10.0.0.9:80/tcp' },
      ],
    };
    const { vips, ...rest } = alignFrame(frames[0]!, about, later);
    expect(rest).toEqual({ ...frames[0]!, vips: undefined });
    expect(vips[0]).toMatchObject({
      kind: 'handshake',
      share: [0.5, 0],
      p50: [null, null],
      packets: [7, 0],
      flows: [2, 0],
      held: [1, 0],
      inFlight: [0, 0],
      states: { 0: 'drain' },
    });
    expect(vips[1]).toMatchObject({ kind: '', share: [0, 0], packets: [0, 0], inFlight: [], states: {} });
    expect(alignFrame(frames[0]!, about, about)).toBe(frames[0]);
  });
});

describe('what the dashboard records', () => {
  it('says what it is about', async () => {
    const stage = aStage({ reason: 'no BPF', vips: ['10.0.0.1:80/tcp', '10.0.0.1:81/tcp'] });
    const { about, decisions, frames } = await recent(new DashboardRecorder(stage.balancer));
    expect(about).toMatchObject({
      version: '1.2.3',
      interface: 'eth0',
      datapath: { name: 'capture', mode: 'l2', reason: 'no BPF' },
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
    Object.assign(stage.traffic[1]!, { packets: 20, bytes: 999, flows: 3, held: 2 });
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
      held: [0, 2],
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

  it('says of a backend what is not as it should be', async () => {
    const stage = aStage({ backends: ['10.0.0.11', '10.0.0.12', '10.0.0.13', '10.0.0.14'] });
    const [service] = stage.services;
    const up = service!.health[0]!;
    service!.states = ['ready', 'drain', 'maintenance', 'ready'];
    service!.health = [
      up,
      { ...up, state: 'down', reason: 'connection refused' },
      { ...up, ejected: { untilNs: ns(9e9), reason: '3 SYNs unanswered', times: 1 } },
      { ...up, state: 'starting' },
    ];
    expect((await oneFrame(stage)).vips[0]).toMatchObject({
      states: { 1: 'drain', 2: 'maintenance' },
      health: {
        1: { state: 'down', reason: 'connection refused' },
        2: { state: 'ejected', reason: '3 SYNs unanswered' },
        3: { state: 'starting', reason: '' },
      },
    });
  });

  it('keeps the past over a reload, and says what each part of it is about', async () => {
    const stage = aStage({ backends: ['10.0.0.11', '10.0.0.12'] });
    const { services } = stage.balancer;
    const recorder = new DashboardRecorder(stage.balancer);
    const told: string[] = [];
    recorder.follow((line) => told.push(line));
    await recorder.record();
    stage.balancer.services = [...services];
    await recorder.record();
    stage.balancer.services = aStage({ backends: ['10.0.0.12', '10.0.0.13', '10.0.0.14'] }).services;
    stage.balancer.datapath = aStage({ backends: ['10.0.0.12', '10.0.0.13', '10.0.0.14'] }).balancer.datapath;
    await recorder.record();
    const { lines, abouts } = await recent(recorder);
    expect(lines.map((line) => Object.keys(line)[0])).toEqual([
      'about',
      'frame',
      'frame',
      'about',
      'frame',
      'decisions',
    ]);
    expect(abouts.map(({ vips }) => vips[0]!.backends.length)).toEqual([2, 3]);
    expect(told.map((line) => Object.keys(JSON.parse(line))[0])).toEqual([
      'frame',
      'frame',
      'about',
      'frame',
    ]);
    for (let i = 0; i < 598; i++) await recorder.record();
    expect((await recent(recorder)).lines.slice(0, 3).map((line) => Object.keys(line)[0])).toEqual([
      'about',
      'frame',
      'about',
    ]);
    await recorder.record();
    // Nothing is left of what that was about.
    expect((await recent(recorder)).abouts).toHaveLength(1);
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
    for (let i = 0; i < 30; i++) decisions.add(ns(i * 4e9), { ...slowReason, backend: i % 2 });
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
      many.services[0]!.pool.decisions.add(ns(i * 4e9), { ...slowReason, backend: i % 5 });
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
    stage.services[0]!.pool.decisions.add(ns(1e9), slowReason);
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
