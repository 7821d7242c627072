import { describe, expect, test } from 'vitest';
import { accountBetween } from '../../src/demo/account.ts';
import { lastWords } from '../../src/demo/daemon.ts';
import { gridOf } from '../../src/demo/demo.ts';
import { checkDemo, demoDefaults, scheduleOf } from '../../src/demo/plan.ts';
import { Recorder } from '../../src/demo/recorder.ts';
import type { LoadCounts } from '../../src/lab/load.ts';
import { ns } from '../../src/units.ts';

describe('the plan', () => {
  test('cuts each of two runs into thirds', () => {
    expect(scheduleOf(demoDefaults)).toEqual({ injectMs: 8333, removeMs: 16667, endMs: 25_000 });
  });

  test('charts whole intervals, at most five hundred steps of them', () => {
    expect(gridOf({ ...demoDefaults, durationNs: ns(6e9) })).toEqual({ stepMs: 10, count: 300 });
    expect(gridOf(demoDefaults)).toEqual({ stepMs: 50, count: 500 });
  });

  test.each([
    ['a duration too short to settle', { durationNs: ns(3.9e9) }, '--duration: 3.9s'],
    ['a duration of more than an hour', { durationNs: ns(3601e9) }, '--duration: 3601s'],
    ['a delay that is no whole number of us', { delayNs: ns(1500) }, '--delay: 1.5us'],
    ['a delay that the lab cannot make', { delayNs: ns(1e9) }, '--delay: 1s'],
    ['an unknown policy', { policy: 'best' }, "--policy: 'best'"],
  ])('refuses %s, naming the flag', (_, wrong, message) => {
    expect(() => checkDemo({ ...demoDefaults, ...wrong })).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(message) }),
    );
  });

  test('takes its own defaults', () => {
    expect(() => checkDemo(demoDefaults)).not.toThrow();
  });
});

describe('the account of packets', () => {
  const counts = { packets: { tx: 100, not_ip: 4 }, delivered: 98, retransmissions: 7 };

  test('is what was counted between two moments', () => {
    const later = { packets: { tx: 600, not_ip: 4, no_backend: 2 }, delivered: 590, retransmissions: 8 };
    expect(accountBetween(counts, later)).toEqual({
      packets: { tx: 500, no_backend: 2 },
      packets_forwarded: 500,
      packets_lost: 2 + 8,
      retransmissions: 1,
    });
  });

  test('takes no loss from frames that the load balancer did not forward', () => {
    const later = { ...counts, packets: { tx: 150, not_ip: 4 }, delivered: 150 };
    expect(accountBetween(counts, later).packets_lost).toBe(0);
  });
});

describe('what a daemon that ended said', () => {
  test('becomes the error that it was', () => {
    const text =
      '{"level":50}\ninband: eth9: no such interface [XDP_UNSUPPORTED]\nhint: ip link lists them\n';
    expect(lastWords(text)).toMatchObject({
      code: 'XDP_UNSUPPORTED',
      message: 'eth9: no such interface',
      hint: 'ip link lists them',
    });
  });

  test('is an error of the environment when it is no error of its own', () => {
    expect(lastWords('Segmentation fault\n')).toMatchObject({
      code: 'ENVIRONMENT',
      message: 'Segmentation fault',
    });
    const crash =
      "file:///x.js:1\nthrow new Error('no');\n\nTypeError [ERR_X]: no\n    at x.js\n\nNode.js v20\n";
    expect(lastWords(crash).message).toBe('TypeError [ERR_X]: no');
    expect(lastWords('inband: odd [NO_SUCH_CODE]\n').code).toBe('ENVIRONMENT');
    expect(lastWords('').message).not.toBe('');
  });
});

describe('the recorder', () => {
  const second = 1e9;
  const originNs = 1000 * second;
  const counts = (tMs: number) =>
    ({ tMs, monoNs: originNs + tMs * 1e6, requests: 1, p95Us: 500 }) as LoadCounts;
  const change = (generation: number, afterS: number, share: number[]) => ({
    time_ns: originNs + afterS * second,
    vip: '10.0.0.1:1/tcp',
    generation,
    share,
    slots_moved: 1,
  });

  test('counts all times from the start of the load', () => {
    const recorder = new Recorder();
    recorder.interval(counts(10));
    recorder.interval(counts(20));
    recorder.injected(originNs + second, 1);
    recorder.removed(originNs + 2 * second);
    expect(recorder.timeline).toMatchObject({ slowed: 1, injectedMs: 1000, removedMs: 2000 });
    expect(recorder.timeline.intervals).toMatchObject([
      { fromMs: 0, toMs: 10 },
      { fromMs: 10, toMs: 20 },
    ]);
  });

  test('knows no times before the load has begun', () => {
    expect(new Recorder().timeline).toEqual({
      intervals: [],
      shares: [],
      slowed: undefined,
      injectedMs: undefined,
      removedMs: undefined,
    });
  });

  test('puts changes in order, each once, however often it was told of them', () => {
    const recorder = new Recorder();
    recorder.interval(counts(10));
    const [first, second, third] = [
      change(1, -0.5, [0.5, 0.5]),
      change(2, 1, [0.4, 0.6]),
      change(3, 2, [0.3, 0.7]),
    ];
    recorder.changes([first!, second!]);
    recorder.changes([second!, third!]);
    recorder.finish();
    expect(recorder.timeline.shares).toEqual([
      { timeMs: -500, share: [0.5, 0.5] },
      { timeMs: 1000, share: [0.4, 0.6] },
      { timeMs: 2000, share: [0.3, 0.7] },
    ]);
  });
});
