import { describe, expect, test } from 'vitest';
import type { LiveRun } from '../../src/demo/demo.ts';
import type { Timeline } from '../../src/demo/timeline.ts';
import { demoHtml } from '../../src/report/demo-html.ts';
import { type LiveView, liveHeight, liveLine, liveLines } from '../../src/report/demo-live.ts';
import { demoText } from '../../src/report/demo-text.ts';
import { colorPaint, plainPaint } from '../../src/report/terminal.ts';
import { aDemo, inBandTimeline, injectedMs, removedMs, staticTimeline } from './results.ts';

const widthOf = (line: string): number => [...line].length;
const row = (text: string, name: string): string[] =>
  text
    .split('\n')
    .find((line) => line.startsWith(name))!
    .slice(name.length)
    .trim()
    .split(/\s+/);

describe('the closing text', () => {
  const text = demoText(aDemo(), { width: 100, color: false });

  test('has both runs side by side', () => {
    expect(row(text, 'slower server ')).toEqual(['s2', 's1']);
    expect(row(text, 'its share of slots before')).toEqual(['50%', '100%']);
    expect(row(text, 'client p95 before')).toEqual(['500us', '500us']);
    expect(row(text, 'client p95 while slower')).toEqual(['1.5ms', '500us']);
    expect(row(text, 'first slot moved away after')).toEqual(['never', '2ms']);
    expect(row(text, '90% of new flows moved after')).toEqual(['never', '6ms']);
    expect(row(text, 'client p95 back after')).toEqual(['never', '60ms']);
    expect(row(text, 'packets lost')).toEqual(['0', '0']);
  });

  test('says in words what that means', () => {
    const words = text.replaceAll(/\s+/g, ' ');
    expect(words).toContain(
      "With the static table, 1ms more on the path to s2 raised the client's p95 from 500us to 1.5ms, 3x, for as long as it lasted.",
    );
    expect(words).toContain(
      "90% of new flows went elsewhere within 6ms, and the client's p95 was back within 60ms (500us before, 500us then).",
    );
  });

  test('names what the servers run, and why it is not memcached', () => {
    expect(text).toContain('2, running memcached\n');
    const builtIn = demoText(aDemo({ servers: { count: 2, application: 'kv' } }), {
      width: 100,
      color: false,
    });
    expect(builtIn).toContain('built-in key-value server, as memcached is not installed');
  });

  test.each([40, 80, 200])('stays within %i columns', (width) => {
    const lines = demoText(aDemo(), { width, color: false }).split('\n');
    expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(width);
  });
});

describe('the page', () => {
  const page = demoHtml(aDemo());
  const charts = JSON.parse(/id="charts">(.*)<\/script>/.exec(page)![1]!);

  test('charts p95 and share of both runs over the same time, with the delay marked', () => {
    expect(charts.timeS).toEqual([0, 6]);
    expect(charts.charts.map(({ id }: { id: string }) => id)).toEqual(['p95', 'share']);
    for (const { kind, series, span, timeS } of charts.charts) {
      expect(kind).toBe('lines');
      expect(series.map(({ label }: { label: string }) => label)).toEqual([
        'static table',
        'in-band control',
      ]);
      expect(span).toEqual({ fromS: 2, toS: 4, label: '+1ms' });
      expect(timeS).toHaveLength(600);
    }
  });

  test('draws the values that were measured', () => {
    const at = (chart: number, series: number, timeS: number) =>
      charts.charts[chart].series[series].values[Math.round(timeS * 100)];
    expect([at(0, 0, 3), at(0, 1, 3), at(0, 1, 2.05)]).toEqual([1500, 500, 1500]);
    expect([at(1, 0, 3), at(1, 1, 1), at(1, 1, 3)]).toEqual([50, 100, 0]);
    expect(charts.charts[0].max).toBeGreaterThan(1500);
  });

  test('has the table, and needs nothing from elsewhere', () => {
    expect(page).toContain('<th scope="row">90% of new flows moved after</th><td>never</td><td>6ms</td>');
    expect(page).not.toMatch(/(?:src|href)="(?!data:)/);
  });
});

describe('while the demo runs', () => {
  const schedule = { injectMs: injectedMs, removeMs: removedMs, endMs: 6000 };
  const until = (timeline: Timeline, nowMs: number): Timeline => ({
    intervals: timeline.intervals.filter(({ toMs }) => toMs <= nowMs),
    shares: timeline.shares.filter(({ timeMs }) => timeMs <= nowMs),
    slowed: nowMs < injectedMs ? undefined : timeline.slowed,
    injectedMs: nowMs < injectedMs ? undefined : injectedMs,
    removedMs: nowMs < removedMs ? undefined : removedMs,
  });
  const inBand = (nowMs: number): LiveRun => ({
    name: 'in-band',
    policy: 'shift',
    timeline: () => until(inBandTimeline(), nowMs),
  });
  const viewAt = (nowMs: number): LiveView => ({
    runs: [{ name: 'static', policy: 'static', timeline: staticTimeline }, inBand(nowMs)],
    schedule,
    delayNs: 1e6,
  });

  test('the picture has both runs, what they are at now, and the time of the delay', () => {
    const lines = liveLines(viewAt(3000), 100, plainPaint);
    expect(lines[0]).toBe('static table (policy static)');
    expect(lines[1]).toMatch(/^client p95 +1.5ms ┤ +█+ +├$/);
    expect(lines[6]).toMatch(/^ +0 ┤█+├ 50%$/);
    expect(lines[7]).toBe('in-band control (policy shift)');
    expect(lines[10]).toMatch(/^ +0 ┤█+ +├ 500us$/);
    expect(lines[11]).toMatch(/^share of s1 /);
    expect(lines[13]).toMatch(/├ 0%$/);
    expect(lines.at(-1)).toMatch(/^ +├─+ \+1ms on one server ─+┤$/);
  });

  test.each([1, 1500, 3000, 6000])('the picture always fits the terminal, %i ms into the run', (nowMs) => {
    for (const width of [40, 80, 300]) {
      const lines = liveLines(viewAt(nowMs), width, plainPaint);
      expect(lines).toHaveLength(liveHeight);
      expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(width);
    }
  });

  test('long values fit, too', () => {
    for (const p95Us of [363.52, 999.6, 12_345, 999_999]) {
      const intervals = [{ fromMs: 0, toMs: 10, requests: 1, p95Us }];
      const run: LiveRun = {
        ...inBand(0),
        timeline: () => ({ ...inBandTimeline(), intervals }),
      };
      const lines = liveLines({ ...viewAt(0), runs: [run] }, 80, plainPaint);
      expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(80);
    }
  });

  test('colors change nothing but colors', () => {
    const colored = liveLines(viewAt(3000), 80, colorPaint).join('\n');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
    expect(colored.replaceAll(/\u001b\[\d+m/g, '')).toBe(liveLines(viewAt(3000), 80, plainPaint).join('\n'));
  });

  test('a line for logs says how far it is, and which server is slower while it is', () => {
    const lineAt = (nowMs: number) => liveLine(inBand(nowMs), viewAt(nowMs));
    expect(lineAt(1000)).toBe('in-band control   1.0s of 6s  client p95 500us  share of s1 100%');
    expect(lineAt(3000)).toContain('share of s1 0%  +1ms on the path to s1');
    expect(lineAt(5000)).not.toContain('+1ms');
  });
});
