import type { PolicyResult, SimulationResult } from '../sim/result.ts';
import { type ChartSet, type LineChart, seriesColors } from './charts.ts';
import { chartFigure, factList, html, page, tableSection } from './page.ts';
import {
  focusText,
  phaseTables,
  reactionTable,
  simulationFacts,
  simulationLegend,
} from './simulation-content.ts';

const p99Id = 'p99';
const shareId = 'share';

/** A simulation as one self-contained HTML page: p99 and shares over time under each policy. */
export function simulationHtml(result: SimulationResult): string {
  const reaction = reactionTable(result);
  const shares =
    result.focus.length > 0
      ? `Share of slots of ${focusText(result.focus)}, mean over the load balancers.`
      : `Share of slots of ${result.backends[0]}, mean over the load balancers.`;
  const body = html`<h1>${result.title}</h1>
${chartFigure(p99Id, '99th percentile of latency', 'As the clients see it, on a logarithmic axis.', 'The figures are in the tables below.')}
${chartFigure(shareId, 'Share over time', shares, 'The figures are in the tables below.')}
${phaseTables(result).map(tableSection)}${reaction ? tableSection(reaction) : ''}<p class="empty">${simulationLegend}</p>
<h2>What was simulated</h2>
${factList(simulationFacts(result))}`;
  return page(result.title, body, chartsOf(result));
}

function chartsOf(result: SimulationResult): ChartSet {
  const [fromS, toS] = result.during_s ?? [result.duration_s, result.duration_s];
  const span = { fromS, toS, label: result.during_s ? 'during' : '' };
  const { step_s, p99_ns } = result.policies[0]!.timeline;
  const timeS = p99_ns.map((_, step) => Number(((step + 0.5) * step_s).toPrecision(6)));
  const series = (values: LineSource): LineChart['series'] =>
    drawingOrder(result).map((policy) => ({
      label: policy.policy,
      color: colorOf(policy.policy, result),
      values: values(policy).map((value) => (value === null ? null : Number(value.toPrecision(4)))),
    }));
  const p99Us: LineSource = ({ timeline }) => timeline.p99_ns.map((ns) => (ns === null ? null : ns / 1e3));
  const { min, max } = p99Range(result);
  return {
    timeS: [0, result.duration_s],
    timeLabel: 'simulated time',
    charts: [
      { kind: 'lines', id: p99Id, unit: 'us', min, max, timeS, series: series(p99Us), span },
      {
        kind: 'lines',
        id: shareId,
        unit: 'percent',
        max: shareTop(result),
        timeS,
        series: series((policy) => sharesOf(result, policy)),
        span,
      },
    ],
    points: [],
  };
}

type LineSource = (policy: PolicyResult) => readonly (number | null)[];

/** The same policy has the same color on every page. */
const colors: Readonly<Record<string, string>> = {
  balance: 'series-1',
  static: 'series-2',
  l3: 'series-3',
  shift: 'series-4',
  c3: 'series-5',
  'peak-ewma': 'series-6',
  prequal: 'series-7',
  oracle: 'other',
};

/** A policy with settings has a color that is left over; where none is, the grey. */
function colorOf(name: string, { policies }: SimulationResult): string {
  const own = colors[name];
  if (own !== undefined) return own;
  const names = policies.map(({ policy }) => policy);
  const left = seriesColors.filter((color) => !names.some((one) => colors[one] === color));
  return left[names.filter((one) => colors[one] === undefined).indexOf(name)] ?? 'other';
}

/** Ours is drawn last, over the others. */
const drawingOrder = ({ policies }: SimulationResult): PolicyResult[] =>
  policies.toSorted((a, b) => Number(a.policy === 'balance') - Number(b.policy === 'balance'));

/** Percent of slots of the focus, or of the first backend where nothing should change. */
function sharesOf({ focus, backends }: SimulationResult, { timeline }: PolicyResult): number[] {
  const members = focus.length > 0 ? focus.map((name) => backends.indexOf(name)) : [0];
  return timeline.p99_ns.map(
    (_, step) => 100 * members.reduce((sum, b) => sum + timeline.shares[b]![step]!, 0),
  );
}

/** Room above the highest line for the name of the shaded span. */
const shareTop = (result: SimulationResult): number =>
  Math.min(112, 1.2 * Math.max(...result.policies.flatMap((policy) => sharesOf(result, policy))));

/** All points of p99, with a little room on both sides. */
function p99Range({ policies }: SimulationResult): { min: number; max: number } {
  const known = policies.flatMap(({ timeline }) =>
    timeline.p99_ns.filter((ns) => ns !== null && ns > 0),
  ) as number[];
  const [min, max] = known.reduce(
    ([least, most], ns) => [Math.min(least, ns), Math.max(most, ns)],
    [Number.POSITIVE_INFINITY, 0],
  );
  return known.length === 0 ? { min: 1, max: 1e3 } : { min: (0.7 * min) / 1e3, max: (2 * max) / 1e3 };
}
