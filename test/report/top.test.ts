import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { About, Frame, Recorded, VipFrame } from '../../src/admin/dashboard/frame.ts';
import { colorPaint, plainPaint } from '../../src/report/terminal.ts';
import { scrollMax, type TopOptions, topLines, topSorts } from '../../src/report/top.ts';
import { TopFeed } from '../../src/report/top-feed.ts';
import { bar, chartText, compact, latencyText, stateWord } from '../../src/report/top-table.ts';
import { type TopView, topView } from '../../src/report/top-view.ts';

const startS = Date.UTC(2026, 0, 1, 12) / 1e3;

function anAbout(vips: Record<string, readonly string[]>, started = 'a'): About {
  return {
    version: '1.2.3',
    started,
    interface: 'eth0',
    datapath: { name: 'xdp', mode: 'native', reason: '' },
    flowsCapacity: 1_000,
    tickMs: 1,
    vips: Object.entries(vips).map(([vip, names]) => ({
      vip,
      policy: 'balance',
      backends: names.map((name) => ({ name, weight: 1 / names.length })),
    })),
  };
}

function aVipFrame(backends: number, n: number, more: Partial<VipFrame> = {}): VipFrame {
  const each = <T>(value: (b: number) => T): T[] => Array.from({ length: backends }, (_, b) => value(b));
  return {
    kind: 'request',
    generation: 1,
    slotsMoved: 0,
    share: each(() => 1 / backends),
    p50: each((b) => 100 * (b + 1)),
    p99: each((b) => 1_000 * (b + 1)),
    samples: each(() => 10),
    flows: each((b) => n * 10 * (b + 1)),
    held: each((b) => b + 1),
    packets: each(() => n * 2_000),
    inFlight: each((b) => b),
    oldestMs: each(() => 1),
    retransmits: each(() => 0),
    obstacles: {},
    states: {},
    health: {},
    ...more,
  };
}

const aFrame = (n: number, vips: VipFrame[], more: Partial<Frame> = {}): Frame => ({
  n,
  t: startS + n,
  uptimeS: 3_600 + n,
  ticks: n * 1_000,
  ticksLate: 0,
  packets: { tx: n * 4_000, not_vip: 7, no_backend: n * 5 },
  flows: { active: 250, created: n * 30, refused: 0, evicted_idle: 0, evicted_unestablished: 0 },
  vips,
  ...more,
});

const web = '10.0.0.100:80/tcp';
const pool = ['10.0.0.11', '10.0.0.12'];

function feedOf(...lines: Recorded[]): TopFeed {
  const feed = new TopFeed();
  for (const line of lines) feed.take(line);
  return feed;
}

/** Some seconds of one vip with two backends. */
const seconds = (count: number, more: Partial<VipFrame> = {}): Recorded[] => [
  { about: anAbout({ [web]: pool }) },
  ...Array.from({ length: count }, (_, i) => ({ frame: aFrame(i + 1, [aVipFrame(2, i + 1, more)]) })),
];

const decision = {
  vip: 0,
  backend: 1,
  from: startS,
  until: startS + 1,
  steps: 3,
  text: 'request p50 2ms vs pool 1ms over 1s, 100 samples -> share 0.500 -> 0.100',
};

const view = (...lines: Recorded[]): TopView => topView(feedOf(...lines))!;

const options: TopOptions = {
  width: 80,
  height: 24,
  paint: plainPaint,
  sort: 'name',
  isReversed: false,
  scroll: 0,
  hasKeys: true,
};

describe('what top takes in', () => {
  it('is nothing at first, and needs no rate of one frame', () => {
    expect(topView(new TopFeed())).toBeUndefined();
    expect(topView(feedOf(seconds(0)[0]!))).toBeUndefined();
    expect(view(...seconds(1))).toMatchObject({ packets_per_s: 0, uptime_s: 3_601 });
  });

  it('keeps a minute, each frame once', () => {
    const feed = feedOf(...seconds(70), ...seconds(70).slice(-5));
    expect(feed.frames).toHaveLength(61);
    expect(feed.frames.map(({ n }) => n)).toEqual(Array.from({ length: 61 }, (_, i) => i + 10));
  });

  it('keeps the past of the backends that a reload leaves', () => {
    const after = anAbout({ [web]: ['10.0.0.12', '10.0.0.13'] });
    const feed = feedOf(...seconds(5), { about: after });
    expect(feed.frames).toHaveLength(5);
    expect(feed.frames[4]!.vips[0]!.p99).toEqual([2_000, null]);
    expect(feed.decisions).toEqual([]);
  });

  it('begins anew with another daemon', () => {
    const feed = feedOf(
      ...seconds(5),
      { about: anAbout({ [web]: pool }, 'b') },
      {
        frame: aFrame(1, [aVipFrame(2, 1)]),
      },
    );
    expect(feed.frames.map(({ n }) => n)).toEqual([1]);
  });
});

describe('what top shows', () => {
  it('has rates over some seconds, and what is now', () => {
    const shown = view(...seconds(10), { decisions: [decision] });
    expect(shown).toMatchObject({
      schema: 'inband.top/1',
      time: '2026-01-01T12:00:10.000Z',
      packets_per_s: 4_005,
      lost_per_s: 5,
      flows: { held: 250, capacity: 1_000, begun_per_s: 30, refused_per_s: 0, evicted_per_s: 0 },
      drops: [
        { reason: 'no_backend', is_lost: true, per_s: 5, total: 50 },
        { reason: 'not_vip', is_lost: false, per_s: 0, total: 7 },
      ],
    });
    expect(shown.vips[0]).toMatchObject({ vip: web, kind: 'request', flows_per_s: 30, packets_per_s: 4_000 });
    expect(shown.vips[0]!.backends[1]).toEqual({
      backend: '10.0.0.12',
      state: 'ready',
      health: 'up',
      problem: null,
      share: 0.5,
      weight: 0.5,
      flows_per_s: 20,
      packets_per_s: 2_000,
      flows_held: 2,
      in_flight: 1,
      oldest_ms: 1,
      p50_ns: 200_000,
      p99_ns: 2_000_000,
      p99_ns_by_second: Array(10).fill(2_000_000),
    });
    expect(shown.decisions[0]).toMatchObject({
      vip: web,
      backend: '10.0.0.12',
      steps: 3,
      text: decision.text,
    });
  });

  it('has the latest latency of a second without samples, but not one of long ago or of another kind', () => {
    const none = { frame: aFrame(6, [aVipFrame(2, 6, { p50: [null, null], p99: [null, null] })]) };
    expect(view(...seconds(5), none).vips[0]!.backends[0]!.p50_ns).toBe(100_000);
    const long = Array.from({ length: 10 }, (_, i) => ({
      frame: aFrame(6 + i, [aVipFrame(2, 6 + i, { p50: [null, 1], p99: [null, 1] })]),
    }));
    expect(view(...seconds(5), ...long).vips[0]!.backends[0]!.p50_ns).toBeNull();
    const other = { frame: aFrame(6, [aVipFrame(2, 6, { kind: 'server', p50: [null, null] })]) };
    expect(view(...seconds(5), other).vips[0]!.backends[0]!.p50_ns).toBeNull();
    expect(view(...seconds(5), other).vips[0]!.backends[0]!.p99_ns_by_second.slice(0, 5)).toEqual(
      Array(5).fill(null),
    );
  });

  it('has no negative rates when something counts anew, and no signals where nobody counts them', () => {
    const anew = aFrame(6, [aVipFrame(2, 0, { inFlight: [], oldestMs: [] })], { packets: { tx: 0 } });
    const shown = view(...seconds(5), { frame: anew });
    expect(shown.packets_per_s).toBe(0);
    expect(shown.vips[0]!.backends[0]).toMatchObject({ flows_per_s: 0, in_flight: null, oldest_ms: null });
  });

  it('leaves out decisions about what is gone', () => {
    expect(view(...seconds(2), { decisions: [{ ...decision, backend: 9 }] }).decisions).toEqual([]);
  });
});

describe('a state in a word', () => {
  const one = view(...seconds(2)).vips[0]!.backends[0]!;
  it.each([
    [{}, 'up'],
    [{ problem: 'no neighbour' }, 'unusable'],
    [{ health: 'unchecked' as const }, 'ready'],
    [{ health: 'starting' as const }, 'starting'],
    [{ health: 'ejected' as const, problem: '3 SYNs unanswered' }, 'ejected'],
    [{ state: 'drain' as const }, 'drain'],
    [{ state: 'drain' as const, health: 'down' as const }, 'drain/down'],
    [{ state: 'maintenance' as const, health: 'down' as const }, 'maintenance'],
  ])('%o is %s', (more, word) => expect(stateWord({ ...one, ...more })).toBe(word));
});

describe('a frame of top', () => {
  const frames = (...more: Recorded[]) => view(...seconds(10), ...more);

  it('fits 80 columns and 24 lines, and has everything', () => {
    const text = topLines(frames({ decisions: [decision] }), options).join('\n');
    expect(text).toBe(
      [
        'inband on eth0  xdp native, up 1h 0m, version 1.2.3                 12:00:10 UTC',
        '4005 packets/s  30 new flows/s  5 lost/s  flow table ━━╸······· 25% of 1000',
        '',
        `${web}  30 new flows/s, 4000 packets/s, balance on request`,
        'backend    state  share          new/s  pkt/s flight    p50    p99  p99 60s',
        '10.0.0.11  up     ━━━━━━━━  50%     10   2000      0  100us    1ms            ▁▁',
        '10.0.0.12  up     ━━━━━━━━  50%     20   2000      1  200us    2ms            ▅▅',
        '',
        'Decisions',
        '12:00:01  10.0.0.12  0.500 -> 0.100  request p50 2ms vs pool 1ms over 1s, 100 s…',
        'Dropped  no_backend 50, 5/s  others: not_vip 7',
        'q quit  space pause  v vip  ↑↓ scroll  sort: n name  s share  f flows  p packet…',
      ].join('\n'),
    );
  });

  it('says what keeps a backend from being used in place of its latencies', () => {
    const shown = frames({
      frame: aFrame(11, [
        aVipFrame(2, 11, {
          states: { 1: 'drain' },
          health: { 0: { state: 'down', reason: 'connection refused' } },
        }),
      ]),
    });
    const lines = topLines(shown, options);
    expect(lines[5]).toMatch(/^10\.0\.0\.11 {2}down .* connection refused$/);
    expect(lines[6]).toMatch(/^10\.0\.0\.12 {2}drain .*2ms/);
  });

  it('orders backends by what was asked for', () => {
    const names = (sort: (typeof topSorts)[number], isReversed = false) =>
      topLines(frames(), { ...options, sort, isReversed })
        .filter((line) => line.startsWith('10.0.0.1') && !line.startsWith(web))
        .map((line) => line.slice(0, 9));
    expect(names('name')).toEqual(pool);
    for (const sort of ['flows', 'flight', 'p99'] as const) expect(names(sort)).toEqual([...pool].reverse());
    expect(names('p99', true)).toEqual(pool);
    expect(names('share')).toEqual(pool);
  });

  it('shows one vip alone, with its decisions', () => {
    const other = '10.0.0.100:443/tcp';
    const shown = view(
      { about: anAbout({ [web]: pool, [other]: pool }) },
      { frame: aFrame(1, [aVipFrame(2, 1), aVipFrame(2, 1)]) },
      { decisions: [decision, { ...decision, vip: 1, text: 'other' }] },
    );
    expect(topLines(shown, { ...options, width: 120 }).join('\n')).toMatch(/of 10\.0\.0\.100:80\/tcp/);
    const text = topLines(shown, { ...options, vip: other }).join('\n');
    expect(text).not.toContain(web);
    expect(text).toContain('10.0.0.12  other');
  });

  it('scrolls where there is more than the terminal has lines for', () => {
    const names = Array.from({ length: 100 }, (_, i) => `10.0.1.${i}`);
    const shown = view({ about: anAbout({ [web]: names }) }, { frame: aFrame(1, [aVipFrame(100, 1)]) });
    const top = topLines(shown, options);
    expect(top).toHaveLength(24);
    expect(top.join('\n')).toMatch(/10\.0\.1\.0 .*\n {2}↓ \d+ more lines\n\nDecisions/s);
    const end = topLines(shown, { ...options, scroll: scrollMax(shown, options) });
    expect(end.join('\n')).toMatch(/10\.0\.1\.99 [^\n]*\n\nDecisions/);
    expect(topLines(shown, { ...options, scroll: 1e9 })).toEqual(end);
  });

  it('says beside the time that nobody answers', () => {
    const [line] = topLines(frames(), { ...options, notice: 'no answer since 12:00:11' });
    expect(line).toMatch(/no answer since 12:00:11 {2}12:00:10 UTC$/);
    expect(line).toHaveLength(80);
  });

  it('says by words and bars what colors say', () => {
    const painted = topLines(frames(), { ...options, paint: colorPaint }).join('\n');
    const codes = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');
    expect(painted.replace(codes, '')).toBe(topLines(frames(), options).join('\n'));
  });

  it('moves no cursor by names and reasons', () => {
    const about = { ...anAbout({ '\u001b[2J': ['\u009b1m'] }), interface: '\u001b]0;x\u0007' };
    const shown = view(
      { about },
      {
        frame: aFrame(1, [aVipFrame(1, 1, { kind: '\u001b[K', obstacles: { 0: '\u001b[H' } })], {
          packets: { '\u001b[A': 1 },
        }),
      },
    );
    for (const line of topLines(shown, options)) {
      expect([...line].every((character) => character >= ' ' && character !== '\u009b')).toBe(true);
    }
  });

  it('is never wider nor longer than the terminal', () => {
    const backend = fc.constantFrom('10.0.0.1', '2001:db8:1234:5678:9abc:def0:1234:5678', 'a-very-long-name');
    const shape = fc.record({
      vips: fc.array(fc.array(backend, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 4 }),
      width: fc.integer({ min: 40, max: 200 }),
      height: fc.integer({ min: 10, max: 60 }),
      sort: fc.constantFrom(...topSorts),
      scroll: fc.nat(50),
      problem: fc.boolean(),
    });
    fc.assert(
      fc.property(shape, ({ vips, problem, ...asked }) => {
        const named = Object.fromEntries(vips.map((names, v) => [`10.0.0.${v}:80/tcp`, names]));
        const more = problem ? { obstacles: { 0: 'no answer to ARP for a long while now' } } : {};
        const shown = view(
          { about: anAbout(named) },
          ...[1, 2].map((n) => ({
            frame: aFrame(
              n * 1_000_000,
              vips.map((names) => aVipFrame(names.length, n * 12_345_678, more)),
            ),
          })),
          { decisions: [decision] },
        );
        const lines = topLines(shown, { ...options, ...asked });
        expect(lines.length).toBeLessThanOrEqual(asked.height);
        for (const line of lines) expect([...line].length).toBeLessThanOrEqual(asked.width);
      }),
      { numRuns: 200 },
    );
  });
});

describe('figures of top', () => {
  it.each([
    [0, '0'],
    [0.25, '0.3'],
    [9.99, '10'],
    [12.4, '12'],
    [9_999, '9999'],
    [10_000, '10k'],
    [99_999, '100k'],
    [999_999, '1M'],
    [1_234_567, '1.23M'],
    [2.5e9, '2.5G'],
  ])('a count of %d is %s', (value, text) => expect(compact(value)).toBe(text));

  it.each([
    [null, '-'],
    [0, '0ns'],
    [999.9, '1us'],
    [64_000, '64us'],
    [999_960, '1ms'],
    [1_234_567, '1.23ms'],
    [12e9, '12s'],
  ])('a latency of %s is %s', (ns, text) => expect(latencyText(ns)).toBe(text));

  it('a bar shows what is above 0, and the mark unless it covers it', () => {
    expect(bar(0, 1, 4)).toBe('····');
    expect(bar(0.001, 1, 4)).toBe('╸···');
    expect(bar(0.5, 1, 4, 0.75)).toBe('━━·│');
    expect(bar(1, 1, 4, 0.5)).toBe('━━━━');
    expect(bar(7, 1, 4, 9)).toBe('━━━━');
    expect(bar(1, 0, 4, 1)).toBe('╸···');
  });

  it('a chart has the highest of each part, and a gap where nothing was', () => {
    const values = [...Array(30).fill(null), ...Array(15).fill(1_000), ...Array(14).fill(4_000), 16_000];
    expect(chartText(values, 4, { low: 1_000, high: 16_000 })).toBe('  ▁█');
    expect(chartText([1_000], 4, { low: 1_000, high: 4_000 })).toBe('   ▁');
    expect(chartText([], 3, { low: 1, high: 4 })).toBe('   ');
  });
});
