import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type ChartSet, toPoints } from '../../src/report/charts.ts';
import { replayHtml } from '../../src/report/html.ts';
import { html } from '../../src/report/page.ts';
import {
  aBackend,
  anEstimator,
  aPolicy,
  aResult,
  aSeries,
  backendNames,
  noSamples,
  noTimeline,
  someError,
} from './results.ts';

/** What a page's charts show, as the browser would read it. */
function chartsOf(page: string): ChartSet {
  const match = /<script type="application\/json" id="charts">(.*?)<\/script>/s.exec(page);
  return JSON.parse(match![1]!);
}

const estimators = [
  anEstimator('ensemble:smooth:backend', { error: someError }),
  anEstimator('handshake', { error: someError }),
];

function aPage(backends: number, withTruth: boolean): string {
  const names = backendNames(backends);
  return replayHtml(
    aResult({
      backends: names.map((name) => aBackend(name, estimators)),
      estimators,
      ...(withTruth && { truth: { source: 'truth.csv', records: 9 } }),
      ...(backends > 1 && { policy: aPolicy(backends) }),
    }),
    {
      latency: estimators.flatMap(({ estimator }) => names.map((name) => aSeries(estimator, name, 50))),
      truth: withTruth
        ? ['response', 'handshake'].flatMap((kind) => names.map((name) => aSeries(kind, name, 30)))
        : [],
    },
  );
}

describe('templates', () => {
  test('escape what is put into them, and leave HTML alone', () => {
    expect(html`<b title="${'"\''}">${'<&>'}${1}${[html`<i>`, html`</i>`]}</b>`.html).toBe(
      '<b title="&quot;&#39;">&lt;&amp;&gt;1<i></i></b>',
    );
  });
});

describe('a page', () => {
  test('loads nothing, and the only address in it is in the notice of the chart library', () => {
    const page = aPage(2, true);
    const markup = page.replace(/<script[^>]*>.*?<\/script>/gs, '');
    expect(markup.match(/\b(src|srcset|href|action|data|poster)\s*=[^\s>]*/gi)).toEqual(['href="data:,"']);
    expect(page).not.toMatch(/@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import\(/);
    expect(page.match(/https?:[^\s"')]*/g)).toEqual(['https://github.com/leeoniya/uPlot']);
  });

  test('allows exactly its own scripts and styles', () => {
    const page = aPage(1, false);
    const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)![1]!;
    expect(policy).toMatch(/^default-src 'none'; /);
    expect(policy).not.toMatch(/unsafe|\*/);
    const inline = [...page.matchAll(/<(?:script|style)>(.*?)<\/(?:script|style)>/gs)].map(
      ([, text]) => text!,
    );
    expect(inline).toHaveLength(4);
    for (const text of inline) {
      expect(policy).toContain(`'sha256-${createHash('sha256').update(text).digest('base64')}'`);
    }
  });

  test('shows hostile names as text, and in its data they cannot end the script', () => {
    const hostile = '</script><script>alert(1)</script><!--"><img src=x onerror=alert(1)>\'';
    const rows = [anEstimator(hostile)];
    const result = aResult({
      vips: [{ vip: hostile, flows: 1, packets: 1 }],
      backends: [aBackend(hostile, rows), aBackend('b', rows)],
      estimators: rows,
      policy: { ...aPolicy(2), name: hostile, estimator: hostile, backends: [hostile, 'b'] },
      truth: { source: hostile, records: 1 },
      warnings: [hostile],
      samples_dropped: { [hostile]: 1 },
    });
    result.files[0]!.name = hostile;
    result.packets.skipped[hostile] = 1;
    const page = replayHtml(result, {
      latency: [aSeries(hostile, hostile, 9)],
      truth: [aSeries(hostile, hostile, 9)],
    });
    expect(page).not.toContain('<img');
    expect(page.match(/<script/g)).toHaveLength(4);
    expect(page.match(/<!--/g)).toBeNull();
    expect(chartsOf(page).charts[0]!.series[1]!.label).toBe(hostile);
  });

  test('stays below 1.5 MB with 20,000 points and a truth', () => {
    const result = aResult({ estimators: [anEstimator('e'), anEstimator('f')] });
    const page = replayHtml(result, {
      latency: [aSeries('e', '10.77.0.1', 10_000), aSeries('f', '10.77.0.1', 10_000)],
      truth: [aSeries('response', '10.77.0.1', 20_000)],
    });
    expect(page.length).toBeLessThan(1_500_000);
  });
});

describe('charts', () => {
  test('each estimator has a panel with the truth behind its samples and its median over them', () => {
    const { charts, timeS } = chartsOf(aPage(2, true));
    expect(timeS).toEqual([0, 6.02]);
    expect(charts.map(({ id }) => id)).toEqual(['latency-0', 'latency-1', 'shares']);
    expect(charts[0]!.series.map(({ label, color }) => [label, color])).toEqual([
      ['truth', 'truth'],
      ['10.77.0.1', 'series-1'],
      ['10.77.0.2', 'series-2'],
      ['median of the truth', 'text'],
      ['median of the truth', 'text'],
    ]);
  });

  test('handshakes are compared with the truth of handshakes, and all others with that of responses', () => {
    const { charts, points } = chartsOf(aPage(1, true));
    const truths = charts.map(({ kind, series }) => (kind === 'points' ? series[0]!.points : -1));
    const expected = ['response', 'handshake'].map((kind) => toPoints([aSeries(kind, 'b', 30)], 6));
    expect(truths.map((truth) => points[truth])).toEqual(expected);
  });

  test('without a truth only samples are drawn', () => {
    const page = aPage(1, false);
    expect(chartsOf(page).charts[0]!.series.map(({ label }) => label)).toEqual(['10.77.0.1']);
    expect(page).not.toContain('Grey');
  });

  test('many backends share seven colors: the last stands for all others, behind the rest', () => {
    const { charts } = chartsOf(aPage(20, false));
    expect(charts[0]!.series).toHaveLength(7);
    expect(charts[0]!.series[0]).toMatchObject({ label: '14 others', color: 'other' });
    expect(charts[2]!.series.at(-1)).toMatchObject({ label: '14 others', color: 'other' });
  });

  test('a few extremes do not flatten the rest, and are said to be off the axis', () => {
    const series = aSeries('e', '10.77.0.1', 5000);
    series.latencyNs[100] = 5e9;
    const page = replayHtml(aResult({ estimators: [anEstimator('e')] }), { latency: [series], truth: [] });
    const chart = chartsOf(page).charts[0]!;
    if (chart.kind !== 'points') throw new Error('no chart of points');
    expect(chart.latencyUs[0]).toBeLessThan(64);
    expect(chart.latencyUs[1]).toBeLessThan(20_000);
    expect(page).toContain('5,000 points drawn. Off the axis: 1 point.');
  });

  test('shares hold until the end of the capture and add up to 100', () => {
    const chart = chartsOf(aPage(3, false)).charts.at(-1)!;
    if (chart.kind !== 'shares') throw new Error('no chart of shares');
    expect(chart.timeS.at(-1)).toBe(6.02);
    for (const step of chart.timeS.keys()) {
      expect(chart.series.reduce((sum, { percent }) => sum + percent[step]!, 0)).toBeCloseTo(100, 1);
    }
  });

  test('without samples there is a sentence and no chart, and no script', () => {
    const page = replayHtml(aResult({ estimators: [anEstimator('handshake', noSamples)] }), noTimeline);
    expect(page).toContain('No latency samples: no estimator saw a response in these packets.');
    expect(page).not.toContain('<script>');
    expect(page).not.toContain('class="chart"');
  });

  test('an estimator without samples has a sentence among the panels of others', () => {
    const rows = [anEstimator('e'), anEstimator('handshake', noSamples)];
    const page = replayHtml(aResult({ estimators: rows }), {
      latency: [aSeries('e', '10.77.0.1', 9)],
      truth: [],
    });
    expect(page).toContain('<h3>handshake</h3><p class="empty">No samples.</p>');
    expect(chartsOf(page).charts.map(({ id }) => id)).toEqual(['latency-0']);
  });
});

describe('text of a page', () => {
  test('every chart is described and has its figures in a table', () => {
    const page = aPage(2, true);
    expect(page).toMatch(/id="latency-0" role="img" aria-label="[^"]*37,002 samples, p50 268.5us[^"]*"/);
    expect(page).toContain(
      '<th scope="row">10.77.0.1</th><td>50%</td><td>0.8%</td><td>50%</td><td>0.8%</td>',
    );
    expect(page).toContain(
      '<th scope="row">handshake</th><td>37,002</td><td>268.5us</td><td>1.02ms</td><td>2.4ms</td><td>512us</td><td>+3.4%</td>',
    );
  });

  test('the tables of many backends are folded away under that of all', () => {
    expect(aPage(20, false)).toMatch(/All backends.*<details>.*Backend 10\.77\.0\.1 /s);
    expect(aPage(4, false)).not.toContain('<details>');
  });

  test('thinned samples are said to be so', () => {
    expect(aPage(1, false)).toContain(
      'p99 2.4ms, 93% within 20% of the truth, median error +3.4%. 50 points drawn.',
    );
  });
});
