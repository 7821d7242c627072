import type {
  EstimatorSummary,
  LatencySeries,
  PolicySummary,
  ReplayResult,
  ReplayTimeline,
} from '../datapath/replay/result.ts';
import { formatDuration } from '../units.ts';
import {
  type ChartSet,
  medianLine,
  type PointChart,
  type ShareChart,
  seriesColors,
  toPoints,
} from './charts.ts';
import {
  errorLegend,
  facts,
  fileLine,
  isShown,
  latencyTables,
  noPolicy,
  noSamples,
  plural,
  policyLine,
  type Table,
  warnings,
} from './content.ts';
import { formatPercent, formatSignedPercent } from './format.ts';
import { chartFigure, factList, type Html, html, page, tableSection } from './page.ts';
import { shareSeries } from './shares.ts';

/** A replay as one self-contained HTML page: what was replayed, latency and shares over time, and every table. */
export function replayHtml(result: ReplayResult, timeline: ReplayTimeline): string {
  const axisNs = latencyRange(timeline);
  const charts = replayCharts(result, timeline, axisNs);
  const title = `Replay of ${result.files.length === 1 ? result.files[0]!.name : plural(result.files.length, 'file')}`;
  const body = html`<h1>${title}</h1>
<p>${plural(result.packets.read, 'packet')} and ${plural(result.flows.created, 'flow')} in
${formatDuration(result.span_s * 1e9)} of capture time, to ${plural(result.backends.length, 'backend')}: how fast the
servers answered, as estimated from the timing and headers of packets${result.policy ? ', and where a policy would have sent new flows' : ''}.</p>
${warningBox(result)}${latencySection(result, timeline, axisNs)}${shareSection(result)}${numbersSection(result)}
<h2>What was replayed</h2>
<ul>${result.files.map((file) => html`<li>${fileLine(file)}</li>`)}</ul>
${factList(facts(result))}`;
  return page(`inband: ${title}`, body, charts);
}

/** What `replayHtml` draws: a panel per estimator that has samples, and the shares. */
function replayCharts(result: ReplayResult, timeline: ReplayTimeline, axisNs: [number, number]): ChartSet {
  const ends = [...timeline.latency.map(({ timeS }) => timeS), result.policy?.time_s ?? []];
  const spanS = ends.reduce((end, times) => Math.max(end, times.at(-1) ?? 0), result.span_s) || 1;
  const latencyUs: [number, number] = [axisNs[0] / 1e3, axisNs[1] / 1e3];
  const styleOf = backendStyles(result);
  const points: ChartSet['points'] = [];
  const add = (series: LatencySeries[]) => points.push(toPoints(series, spanS)) - 1;
  const truth = groupBy(timeline.truth, ({ estimator }) => estimator).map(([kind, series]) => ({
    kind,
    cloud: { label: 'truth', color: 'truth', line: false, points: add(series) },
    lines: byStyle(series, styleOf).map(({ group }) => ({
      label: 'median of the truth',
      color: 'text',
      line: true,
      points: add([medianLine(group, spanS)]),
    })),
  }));
  const panels = result.estimators.flatMap(({ estimator }, index): PointChart[] => {
    const own = timeline.latency.filter((one) => one.estimator === estimator && one.timeS.length > 0);
    if (own.length === 0) return [];
    const truths = truth.filter(({ kind }) => isTruthOf(kind, estimator));
    const series = [
      ...truths.map(({ cloud }) => cloud),
      ...byStyle(own, styleOf).map(({ style, group }) => ({ ...style, line: false, points: add(group) })),
      ...truths.flatMap(({ lines }) => lines),
    ];
    return [{ kind: 'points', id: panelId(index), latencyUs, series }];
  });
  const shares = result.policy ? shareCharts(result.policy, spanS) : [];
  return { timeS: [0, spanS], timeLabel: 'capture time', charts: [...panels, ...shares], points };
}

const panelId = (estimator: number): string => `latency-${estimator}`;
const sharesId = 'shares';

/** The truth of a handshake is what `handshake` estimates; every other estimator is after responses. */
const isTruthOf = (kind: string, estimator: string): boolean =>
  (kind === 'handshake') === /(?:^|:)handshake$/.test(estimator);

/** Fraction of all points that may lie off the axis of latencies on either side: a few extremes would flatten the rest. */
const offAxis = 0.001;

/** Range of the axis of latencies in ns: nearly all that is above 0, with a little room. */
function latencyRange({ latency, truth }: ReplayTimeline): [min: number, max: number] {
  const sorted = Float64Array.from(
    [...latency, ...truth].flatMap(({ latencyNs }) => latencyNs.filter((value) => value > 0)),
  ).sort();
  if (sorted.length === 0) return [1e3, 1e6];
  const beyond = Math.floor(sorted.length * offAxis);
  return [sorted[beyond]! / 1.5, sorted[sorted.length - 1 - beyond]! * 1.5];
}

/** Backends in a color of their own; where there are more, those whose share moved least have one together. */
const coloredMax = seriesColors.length;

function shareCharts(policy: PolicySummary, spanS: number): ShareChart[] {
  if (policy.time_s.length === 0) return [];
  const percent = (share: number) => Number((share * 100).toPrecision(4));
  const series = shareSeries(policy, coloredMax).map(({ name, members, share }, index) => ({
    label: name,
    color: members > 1 ? othersColor : seriesColors[index]!,
    // The last share holds until the end of the capture.
    percent: [...share, share.at(-1)!].map(percent),
  }));
  return [{ kind: 'shares', id: sharesId, timeS: [...policy.time_s, spanS], series }];
}

type BackendStyle = { label: string; color: string };
const othersColor = 'other';

/** How each backend is named and colored in a panel: as in the chart of shares, where there is one. */
function backendStyles(result: ReplayResult): (backend: string) => BackendStyle {
  const all = result.backends.map(({ backend }) => backend);
  const shown = result.policy
    ? shareSeries(result.policy, coloredMax).flatMap(({ name, members }) => (members === 1 ? [name] : []))
    : all.slice(0, all.length <= coloredMax ? coloredMax : coloredMax - 1);
  const others = { label: plural(all.length - shown.length, 'other'), color: othersColor };
  return (backend) => {
    const index = shown.indexOf(backend);
    return index === -1 ? others : { label: backend, color: seriesColors[index]! };
  };
}

/** The series that are drawn alike, together, in order of color: others, which come first, lie behind the rest. */
function byStyle(series: LatencySeries[], styleOf: (backend: string) => BackendStyle) {
  return groupBy(series, ({ backend }) => styleOf(backend).label)
    .map(([, group]) => ({ style: styleOf(group[0]!.backend), group }))
    .sort((a, b) => (a.style.color < b.style.color ? -1 : 1));
}

/** Values by key, keys in order of appearance. */
function groupBy<T>(values: T[], key: (value: T) => string): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const group = groups.get(key(value));
    if (group) group.push(value);
    else groups.set(key(value), [value]);
  }
  return [...groups];
}

function warningBox(result: ReplayResult): Html {
  const all = warnings(result);
  if (all.length === 0) return html``;
  return html`<ul class="warnings" role="note">${all.map((text) => html`<li>${text}</li>`)}</ul>
`;
}

function latencySection(result: ReplayResult, timeline: ReplayTimeline, axisNs: [number, number]): Html {
  const sampled = result.estimators.some(({ samples }) => samples > 0);
  if (!sampled) return html`<h2>Latency over time</h2><p class="empty">${noSamples}</p>`;
  const grey = result.truth
    ? ' Grey points are the truth and the thin line is its median, per backend: a good estimator follows the line.'
    : '';
  return html`<h2>Latency over time</h2>
<p>One panel per estimator; each colored point is one response latency as it estimated it, at the time it did.${grey}
The axes are the same in every panel. <span class="only-mouse">Drag over a time to zoom in, double-click to zoom out.</span></p>
${result.estimators.flatMap((summary, index) => (isShown(summary) ? [panel(summary, index, timeline, axisNs)] : []))}`;
}

function panel(
  summary: EstimatorSummary,
  index: number,
  timeline: ReplayTimeline,
  axisNs: [number, number],
): Html {
  const own = timeline.latency.filter(({ estimator }) => estimator === summary.estimator);
  const drawn = own.flatMap(({ latencyNs }) => latencyNs);
  if (drawn.length === 0) {
    return html`<h3>${summary.estimator}</h3><p class="empty">No samples.</p>`;
  }
  const total = own.reduce((sum, series) => sum + series.total, 0);
  const outside = drawn.filter((latency) => latency < axisNs[0] || latency > axisNs[1]).length;
  const caption = [
    panelFigures(summary),
    ...(drawn.length < total ? [`${plural(drawn.length, 'point')} drawn.`] : []),
    ...(outside > 0 ? [`Off the axis: ${plural(outside, 'point')}.`] : []),
  ].join(' ');
  const description = `Estimated response latency over time by ${summary.estimator}: ${caption} All figures are in the tables below.`;
  return chartFigure(panelId(index), summary.estimator, caption, description);
}

function panelFigures({ samples, p50_ns, p99_ns, error }: EstimatorSummary): string {
  const parts = [
    plural(samples, 'sample'),
    `p50 ${formatDuration(p50_ns ?? Number.NaN)}`,
    `p99 ${formatDuration(p99_ns ?? Number.NaN)}`,
  ];
  if (error) {
    parts.push(
      `${formatPercent(error.within_20_percent)} within 20% of the truth`,
      `median error ${formatSignedPercent(error.median_relative_error)}`,
    );
  }
  return `${parts.join(', ')}.`;
}

function shareSection(result: ReplayResult): Html {
  const { policy } = result;
  if (!policy) return html`<h2>Shares over time</h2><p class="empty">${noPolicy}</p>`;
  const line = policyLine(policy);
  return html`<h2>Shares over time</h2>
<p>${line} Each band is the part of new flows that one backend would have been given.</p>
${chartFigure(sharesId, 'Share of slots per backend', `${plural(policy.backends.length, 'backend')}, stacked to 100%.`, `${line} First and last shares are in the table below.`)}
${tableSection(shareTable(policy))}`;
}

/** The chart of shares in figures: where each backend began, how far it went, and where it ended. */
function shareTable(policy: PolicySummary): Table {
  const rows = policy.backends.map((backend, index) => {
    const share = policy.share.map((step) => step[index] ?? 0);
    const least = share.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    const most = share.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    return [backend, ...[share[0], least, most, share.at(-1)].map(formatPercent)];
  });
  return {
    title: 'Share of slots',
    note: '',
    head: ['backend', 'at the start', 'least', 'most', 'at the end'],
    rows,
  };
}

/** With more backends than this, their tables are folded away under the one over all of them. */
const openTablesMax = 4;

function numbersSection(result: ReplayResult): Html {
  const tables = latencyTables(result).map(tableSection);
  const all =
    result.backends.length <= openTablesMax
      ? html`${tables}`
      : html`${tables.at(-1)!}<details><summary>Each backend</summary>
${tables.slice(0, -1)}</details>
`;
  return html`<h2>Latency in figures</h2>
${all}${result.truth ? html`<p class="empty">${errorLegend}</p>` : html``}`;
}
