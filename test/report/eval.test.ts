import { describe, expect, test } from 'vitest';
import { evalHtml } from '../../src/report/eval-html.ts';
import { evalText } from '../../src/report/eval-text.ts';
import { aCapture, anEvaluation, aRow, aTimeline, noRow } from './eval-results.ts';

const plain = { width: 120, color: false };
const textOf = (changes = {}) => evalText(anEvaluation(changes), plain).split('\n');
const wordsOf = (lines: string[], start: string) =>
  lines
    .find((line) => line.startsWith(start))!
    .trim()
    .split(/\s{2,}/);

describe('in a terminal', () => {
  test('a capture has its figures, and a row per estimator and kind with samples', () => {
    const lines = textOf();
    expect(lines.slice(0, 2)).toEqual([
      'web',
      '37,034 packets of 8 flows to 2 backends in 3s; truth of 37,002 responses, p50 301us, mean 610us',
    ]);
    expect(wordsOf(lines, 'estimator')).toEqual([
      'estimator',
      'samples',
      'per s',
      'median',
      'mean',
      'median err',
      'in 20%',
      'p95 err',
      'window p50',
      'p90',
      'windows',
    ]);
    expect(wordsOf(lines, 'auto ')).toEqual([
      'auto',
      '37,002',
      '12,334',
      '1.01x',
      '1.02x',
      '+0.4%',
      '99%',
      '3.1%',
      '1%',
      '2.5%',
      '30/31',
    ]);
    expect(lines.some((line) => line.startsWith('auto:request'))).toBe(true);
    expect(lines).toContain('No samples: quic.');
  });

  test('a step is told with what it truly was, and by whom it was not seen', () => {
    const lines = textOf();
    expect(lines).toContain('Step of s2 at 1.29s');
    expect(lines).toContain('true median 260us before, 1.26ms after');
    const step = lines.slice(lines.indexOf('Step of s2 at 1.29s'));
    expect(wordsOf(step, 'auto')).toEqual(['auto', '262us', '1.26ms', '+1ms', '+1ms', '1']);
    expect(wordsOf(step, 'ensemble')).toEqual(['ensemble', '3ms', '2ms', '-1ms', '+1ms', '-']);
    expect(step.slice(0, 8).some((line) => line.startsWith('handshake'))).toBe(false);
  });

  test('the cost is at the end, with a dash where it was not measured', () => {
    const lines = textOf();
    const cost = lines.slice(lines.indexOf('Cost'));
    expect(wordsOf(cost, 'auto')).toEqual(['auto', '31.3', '88']);
    expect(wordsOf(cost, 'quic')).toEqual(['quic', '-', '88']);
  });

  test('several captures have an overview of one estimator', () => {
    const quiet = aCapture('night', { rows: [noRow('auto')], steps: [] });
    const lines = textOf({ captures: [aCapture('web'), quiet] });
    const overview = lines.slice(lines.indexOf('auto over all captures'));
    expect(wordsOf(overview, 'web').slice(0, 4)).toEqual(['web', '1%', '2.5%', '30/31']);
    expect(wordsOf(overview, 'night').slice(0, 4)).toEqual(['night', '-', '-', '0/31']);
    expect(textOf().some((line) => line.includes('over all captures'))).toBe(false);
  });

  test('with both directions turns and errors in time take the place of windows', () => {
    const rows = [
      aRow('auto', null, { exchanges_matched: 0.985, exchanges_told: 1 }),
      aRow('auto', 'request', { exchanges_matched: 0.97 }),
    ];
    const capture = aCapture('wild', { rows, steps: [], exchanges: { turns: 1849, countable: 1840 } });
    const lines = textOf({ captures: [capture] });
    expect(lines.join(' ')).toContain('1,849 turns of which 1,840 countable');
    expect(wordsOf(lines, 'auto ').slice(1, 6)).toEqual(['37,002', '99%', '100%', '1us', '12.3us']);
    expect(lines.join(' ')).toContain('part of the countable turns');
  });

  test('warnings are last, with each hint once, and nothing in them reaches the terminal as control', () => {
    const skipped = [
      { path: 'a\u001b[31m.pcap', reason: 'no truth', hint: 'use --use-server' },
      { path: 'b.pcap', reason: 'no truth', hint: 'use --use-server' },
    ];
    const warnings = skipped.map(({ path, reason }) => `${path}: ${reason}`);
    const lines = textOf({ skipped, warnings });
    expect(lines.slice(-3)).toEqual([
      'warning: a\ufffd[31m.pcap: no truth',
      'warning: b.pcap: no truth',
      'hint: use --use-server',
    ]);
  });

  test('a narrow terminal gets narrow lines', () => {
    const lines = evalText(anEvaluation(), { width: 60, color: false }).split('\n');
    expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(60);
  });

  test('colors are there when asked for', () => {
    expect(evalText(anEvaluation(), { width: 100, color: true })).toContain('\u001b[1mweb');
  });
});

/** What the page gives its charts. */
const chartsOf = (page: string) =>
  JSON.parse(/<script type="application\/json" id="charts">(.*?)<\/script>/s.exec(page)![1]!);

describe('as a page', () => {
  test('each backend of each capture has a panel with the truth below and the foremost estimator on top', () => {
    const page = evalHtml(anEvaluation(), [aTimeline('web')]);
    const { charts } = chartsOf(page);
    expect(charts.map(({ id }: { id: string }) => id)).toEqual(['trend-0-0', 'trend-0-1']);
    expect(charts[0].series.map(({ label }: { label: string }) => label)).toEqual([
      'truth',
      'ensemble',
      'auto',
    ]);
    expect(charts[0].markS).toBeUndefined();
    expect(charts[1].markS).toBe(1.29);
    expect(page).toContain('web, s2');
    expect(page).toContain('auto: 90% of windows within 2.5% of the truth');
  });

  test('an axis has room, and is never so short that noise looks like change', () => {
    const flat = aTimeline('web', ['s1']);
    for (const { line } of flat.backends[0]!.estimates) line.latencyNs.fill(1e6);
    flat.backends[0]!.truth.latencyNs.fill(1.1e6);
    const [{ latencyUs }] = chartsOf(evalHtml(anEvaluation(), [flat])).charts;
    expect(latencyUs[1] / latencyUs[0]).toBeGreaterThanOrEqual(5.9);
    expect(latencyUs[0]).toBeLessThan(1000);
    expect(latencyUs[1]).toBeGreaterThan(1100);
  });

  test('a capture without anything to draw says so', () => {
    const timeline = aTimeline('web', ['s1']);
    timeline.backends[0]!.estimates = [];
    timeline.backends[0]!.truth = { timeS: [], latencyNs: [] };
    const page = evalHtml(anEvaluation(), [timeline]);
    expect(chartsOf(page).charts).toEqual([]);
    expect(page).toContain('No estimates.');
  });

  test('what is 0 or negative, as single server stamps may be, is left out of a logarithmic axis', () => {
    const timeline = aTimeline('web', ['s1']);
    timeline.backends[0]!.estimates[0]!.line.latencyNs[3] = -5;
    const { charts } = chartsOf(evalHtml(anEvaluation(), [timeline]));
    expect(charts[0].series.at(-1).latencyUs).toHaveLength(29);
    expect(Math.min(...charts[0].series.at(-1).latencyUs)).toBeGreaterThan(0);
  });

  test('tables, steps and cost are all there', () => {
    const page = evalHtml(anEvaluation(), [aTimeline('web')]);
    for (const text of ['Step of s2 at 1.29s', 'auto over all captures', 'bytes per flow', 'auto:request']) {
      expect(page).toContain(text);
    }
  });

  test('many warnings are folded away, few are not', () => {
    const warnings = (count: number) => Array.from({ length: count }, (_, i) => `warning ${i}`);
    const page = (count: number) => evalHtml(anEvaluation({ warnings: warnings(count) }), []);
    expect(page(2)).not.toContain('<details>');
    expect(page(9)).toContain('<summary>9 warnings</summary>');
  });

  test('names from files stay text', () => {
    const name = '<img src=x onerror="alert(1)">';
    const capture = aCapture(name, { backends: [name], steps: [] });
    const page = evalHtml(anEvaluation({ captures: [capture], warnings: [name] }), [aTimeline(name, [name])]);
    expect(page).not.toContain('<img');
  });
});
