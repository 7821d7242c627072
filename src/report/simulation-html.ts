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
${chartFigure(p99Id, '99th percentile of latency', `As the clients see it.${offAxis(result)}`, 'The figures are in the tables below.')}
${chartFigure(shareId, 'Share over time', shares, 'The figures are in the tables below.')}
${phaseTables(result).map(tableSection)}${reaction ? tableSection(reaction) : ''}<p class="empty">${simulationLegend}</p>
<h2>What was simulated</h2>
${factList(simulationFacts(result))}`;
  return page(result.title, body, chartsOf(result));
}

function chartsOf(result: SimulationResult): ChartSet {
  const [fromS, toS] = result.during_s ?? [result.duration_s, result.duration_s];
  const span = { fromS, toS, label: result.during_s ? 'during' : '' };
  const stepS = result.policies[0]!.timeline.step_s;
  const timeS = result.policies[0]!.timeline.p99_ns.map((_, step) => Number((step * stepS).toPrecision(6)));
  const chart = (id: string, unit: LineChart['unit'], max: number, values: LineSource): LineChart => ({
    kind: 'lines',
    id,
    unit,
    max,
    timeS,
    series: result.policies.map((policy, index) => ({
      label: policy.policy,
      color: colorOf(index),
      values: values(policy).map((value) => (value === null ? null : Number(value.toPrecision(4)))),
    })),
    span,
  });
  return {
    timeS: [0, result.duration_s],
    timeLabel: 'simulated time',
    charts: [
      chart(p99Id, 'us', p99Top(result), ({ timeline }) =>
        timeline.p99_ns.map((ns) => (ns === null ? null : ns / 1e3)),
      ),
      chart(shareId, 'percent', shareTop(result), (policy) => sharesOf(result, policy)),
    ],
    points: [],
  };
}

type LineSource = (policy: PolicyResult) => readonly (number | null)[];

/** With more policies than colors the last ones share the grey. */
const colorOf = (index: number): string => seriesColors[index] ?? 'other';

/** Percent of slots of the focus, or of the first backend where nothing should change. */
function sharesOf({ focus, backends }: SimulationResult, { timeline }: PolicyResult): number[] {
  const members = focus.length > 0 ? focus.map((name) => backends.indexOf(name)) : [0];
  return timeline.p99_ns.map(
    (_, step) => 100 * members.reduce((sum, b) => sum + timeline.shares[b]![step]!, 0),
  );
}

function shareTop(result: SimulationResult): number {
  const most = Math.max(...result.policies.flatMap((policy) => sharesOf(result, policy)));
  return Math.min(112, most * 1.2);
}

/** The axis ends at twice the largest p99 of any phase: single peaks would flatten the rest. */
function p99Top({ policies }: SimulationResult): number {
  const phases = policies.flatMap(({ phases }) => phases.map(({ p99_ns }) => (p99_ns ?? 0) / 1e3));
  return 2 * Math.max(1, ...phases);
}

function offAxis(result: SimulationResult): string {
  const top = p99Top(result) * 1e3;
  const values = result.policies.flatMap(({ timeline }) => timeline.p99_ns.filter((value) => value !== null));
  const off = values.filter((value) => value > top).length;
  return off === 0 ? '' : ` Above the axis: ${off} of ${values.length} points.`;
}
