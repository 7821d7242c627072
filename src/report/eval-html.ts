import type {
  EvalBackendTimeline,
  EvalCapture,
  EvalLine,
  EvalResult,
  EvalTimeline,
} from '../datapath/replay/eval/result.ts';
import { type ChartSet, seriesColors, type TrendChart } from './charts.ts';
import { plural } from './content.ts';
import {
  accuracyTable,
  captureLine,
  costTable,
  evalLegend,
  foremost,
  overviewTable,
  silentLine,
  stepTable,
  turnsLegend,
} from './eval-content.ts';
import { formatPercent } from './format.ts';
import { type Html, html, page, tableSection } from './page.ts';

/** Estimators whose lines tell most side by side; others fill up what is left. */
const drawnFirst = ['auto', 'ensemble:smooth:backend', 'pirate', 'gap', 'ensemble:infinite:flow'];
/** Lines per panel beside the truth: more cannot be told apart. */
const linesMax = 5;

/** An evaluation as one self-contained HTML page: a panel per workload, truth and estimates over time, and every table. */
export function evalHtml(result: EvalResult, timelines: readonly EvalTimeline[]): string {
  const drawn = drawnEstimators(result);
  const panels = timelines.flatMap((timeline, capture) =>
    timeline.backends.map((backend, index) => ({ timeline, backend, id: `trend-${capture}-${index}` })),
  );
  const charts: ChartSet = {
    timeS: [0, 1],
    timeLabel: 'capture time',
    charts: panels.flatMap(({ timeline, backend, id }) => trendChart(id, timeline, backend, drawn)),
    points: [],
  };
  const title = `Evaluation of ${result.captures.length === 1 ? result.captures[0]!.name : plural(result.captures.length, 'capture')}`;
  const body = html`<h1>${title}</h1>
<p>${plural(result.estimators.length, 'estimator')} of response latency, each shown the client->server packets of ${plural(result.captures.length, 'capture')} whose true latencies are known.</p>
${warningBox(result)}${tableSection(overviewTable(result))}<h2>Estimates over time</h2>
<p>One panel per workload and backend, each with its own time and a logarithmic axis of latencies. The broad grey line is the truth,
the median of each window; a good estimator stays inside it. Where single samples tell nothing (kind server) an estimate is a mean, which lies above
the median of latencies that scatter. <span class="only-mouse">Drag over a time to zoom in, double-click to zoom out.</span></p>
${legend(drawn)}
<div class="panels">
${panels.map(({ timeline, backend, id }) => panel(id, result, timeline, backend, charts))}</div>
<h2>In figures</h2>
${result.captures.map(captureSection)}${tableSection(costTable(result))}<p class="empty">${evalLegend(result)}</p>
${result.captures.some(({ exchanges }) => exchanges) ? html`<p class="empty">${turnsLegend}</p>` : html``}`;
  return page(`inband: ${title}`, body, charts);
}

/** Which estimators are drawn, each with its color; what tells of handshakes alone is no estimate of a response. */
function drawnEstimators({ estimators }: EvalResult): Map<string, string> {
  const names = estimators.map(({ estimator }) => estimator).filter((name) => name !== 'handshake');
  const chosen = [
    ...drawnFirst.filter((name) => names.includes(name)),
    ...names.filter((name) => !drawnFirst.includes(name)),
  ].slice(0, linesMax);
  return new Map(chosen.map((name, index) => [name, seriesColors[index]!]));
}

function legend(drawn: ReadonlyMap<string, string>): Html {
  const entries = [['truth', 'truth'], ...drawn];
  return html`<ul class="key">${entries.map(([name, color]) => html`<li class="key-${color!}">${name!}</li>`)}</ul>`;
}

/** Lines of one backend of one capture; none if there is nothing to draw. */
function trendChart(
  id: string,
  { spanS }: EvalTimeline,
  { truth, estimates, stepS }: EvalBackendTimeline,
  drawn: ReadonlyMap<string, string>,
): TrendChart[] {
  const wholes = estimates.filter(
    ({ estimator, kind }) =>
      drawn.has(estimator) &&
      (kind === null || !estimates.some((other) => other.estimator === estimator && other.kind === null)),
  );
  // The first of the legend is drawn last, over the others.
  const lines = wholes
    .map(({ estimator, line }) => ({ label: estimator, color: drawn.get(estimator)!, width: 1.5, line }))
    .filter(({ line }) => line.timeS.length > 0)
    .reverse();
  const series = [{ label: 'truth', color: 'truth', width: 6, line: truth }, ...lines];
  const latencies = series.flatMap(({ line }) => line.latencyNs.filter((value) => value > 0));
  if (latencies.length === 0) return [];
  const [min, max] = axisUs(latencies);
  return [
    {
      kind: 'trends',
      id,
      timeS: [0, rounded(spanS)],
      latencyUs: [rounded(min), rounded(max)],
      series: series.map(({ label, color, width, line }) => ({ label, color, width, ...toChart(line) })),
      ...(stepS === undefined ? {} : { markS: rounded(stepS) }),
    },
  ];
}

/** Range of the axis of latencies in us: all of them with a little room, and never so little that noise looks like change. */
function axisUs(latenciesNs: readonly number[]): [min: number, max: number] {
  const [low, high] = [Math.min(...latenciesNs), Math.max(...latenciesNs)];
  const room = Math.max(1.3, Math.sqrt((axisRatioMin * low) / high));
  return [low / room / 1e3, (high * room) / 1e3];
}

/** The end of an axis of latencies is at least so many times its beginning. */
const axisRatioMin = 6;

/** Without what a logarithmic axis cannot show; no more digits than can be seen. */
function toChart({ timeS, latencyNs }: EvalLine): { timeS: number[]; latencyUs: number[] } {
  const shown = timeS.map((_, i) => i).filter((i) => latencyNs[i]! > 0);
  return {
    timeS: shown.map((i) => rounded(timeS[i]!)),
    latencyUs: shown.map((i) => Number((latencyNs[i]! / 1e3).toPrecision(4))),
  };
}

const rounded = (value: number): number => Number(value.toPrecision(6));

function panel(
  id: string,
  result: EvalResult,
  { capture, backends }: EvalTimeline,
  { backend }: EvalBackendTimeline,
  charts: ChartSet,
): Html {
  const heading = backends.length > 1 ? `${capture}, ${backend}` : capture;
  const found = result.captures.find(({ name }) => name === capture)!;
  const caption = accuracyLine(result, found);
  if (!charts.charts.some((chart) => chart.id === id)) {
    return html`<figure><figcaption><h3>${heading}</h3>${caption}</figcaption><p class="empty">No estimates.</p></figure>
`;
  }
  const description = `Typical latency over time of the truth and of each estimator: ${heading}. ${caption} All figures are in the tables below.`;
  return html`<figure>
<figcaption><h3>${heading}</h3>${caption}</figcaption>
<div class="chart" id="${id}" role="img" aria-label="${description}"></div>
</figure>
`;
}

/** How the estimator of the overview fared, in a few words. */
function accuracyLine(result: EvalResult, { rows }: EvalCapture): string {
  const row = rows.find(({ estimator }) => estimator === foremost(result));
  if (!row || row.samples === 0) return `${row?.estimator ?? 'no estimator'}: no samples`;
  if (row.windows === 0)
    return `${row.estimator}: ${plural(row.samples, 'sample')}, no truth to compare with`;
  return `${row.estimator}: 90% of windows within ${formatPercent(row.window_error_p90)} of the truth`;
}

function captureSection(capture: EvalCapture): Html {
  const silent = silentLine(capture);
  const table = accuracyTable(capture, captureLine(capture));
  return html`${table.rows.length > 0 ? tableSection(table) : html`<h3>${capture.name}</h3><p>${captureLine(capture)}</p>`}
${silent === '' ? html`` : html`<p class="empty">${silent}</p>`}${capture.steps.map((step) => tableSection(stepTable(step)))}`;
}

function warningBox({ warnings, skipped }: EvalResult): Html {
  if (warnings.length === 0) return html``;
  const hints = [...new Set(skipped.flatMap(({ hint }) => hint ?? []))];
  const list = html`<ul class="warnings" role="note">${[...warnings, ...hints].map((text) => html`<li>${text}</li>`)}</ul>
`;
  if (warnings.length <= 3) return list;
  return html`<details><summary>${plural(warnings.length, 'warning')}</summary>
${list}</details>
`;
}
