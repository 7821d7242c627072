import type { DemoResult } from '../demo/result.ts';
import { formatDuration } from '../units.ts';
import { type ChartSet, type LineChart, seriesColors } from './charts.ts';
import { plural } from './content.ts';
import { demoFacts, demoLegend, demoSentences, demoTable, runTitle } from './demo-content.ts';
import { chartFigure, factList, html, page, tableSection } from './page.ts';

const p95Id = 'p95';
const shareId = 'share';

/** The demo as one self-contained HTML page: the client's p95 and the slower server's share over time in both runs. */
export function demoHtml(result: DemoResult): string {
  const delay = formatDuration(result.added_delay_us * 1e3);
  const title = `One of ${result.servers.count} servers becomes ${delay} slower`;
  const sentences = demoSentences(result);
  const body = html`<h1>${title}</h1>
${sentences.map(
  (sentence) => html`<p>${sentence}</p>
`,
)}
${chartFigure(p95Id, "95th percentile of the client's latency", `Both runs have the same load, one after the other; ${result.injected_at_s}s into each, ${delay} is added to the path to one server, and removed at ${result.removed_at_s}s. Peaks in between are connections that went to the slower server even so.${offAxis(result)}`, sentences.join(' '))}
${chartFigure(shareId, 'Share of slots of the server that becomes slower', 'The part of new flows that it gets; those of before stay where they are.', 'The figures are in the table below.')}
${tableSection(demoTable(result))}<p class="empty">${demoLegend}</p>
<h2>How it was measured</h2>
${factList(demoFacts(result))}`;
  return page(title, body, demoCharts(result));
}

function demoCharts(result: DemoResult): ChartSet {
  const span = {
    fromS: result.injected_at_s,
    toS: result.removed_at_s,
    label: `+${formatDuration(result.added_delay_us * 1e3)}`,
  };
  const timeS = result.runs[0]!.timeline.p95_us.map((_, step) =>
    Number(((step * result.runs[0]!.timeline.step_ms) / 1e3).toFixed(3)),
  );
  const chart = (id: string, unit: LineChart['unit'], max: number, values: LineSource): LineChart => ({
    kind: 'lines',
    id,
    unit,
    max,
    timeS,
    series: result.runs.map((run, index) => ({
      label: runTitle[run.name],
      color: seriesColors[runColors[index]!]!,
      values: values(run).map((value) => (value === null ? null : Number(value.toPrecision(4)))),
    })),
    span,
  });
  const p95 = (run: DemoResult['runs'][number]) => run.timeline.p95_us;
  const percent = (run: DemoResult['runs'][number]) =>
    run.timeline.slowed_share.map((share) => (share === null ? null : share * 100));
  return {
    timeS: [0, result.run_s],
    timeLabel: 'time since the load began',
    charts: [chart(p95Id, 'us', p95Top(result), p95), chart(shareId, 'percent', 112, percent)],
    points: [],
  };
}

type LineSource = (run: DemoResult['runs'][number]) => readonly (number | null)[];

/** Orange stands out: it is the static table. Blue is in-band control. */
const runColors = [1, 0] as const;

/** The axis of p95 ends at twice the largest p95 of any phase: single stalls of the machine would flatten the rest. */
function p95Top({ runs }: DemoResult): number {
  const phases = runs.flatMap(({ p95_us }) => Object.values(p95_us).filter((value) => value !== null));
  return 2 * Math.max(500, ...phases);
}

/** Says how much of p95 is not in the chart, if anything. */
function offAxis(result: DemoResult): string {
  const top = p95Top(result);
  const values = result.runs.flatMap(({ timeline }) => timeline.p95_us.filter((value) => value !== null));
  const off = values.filter((value) => value > top).length;
  return off === 0 ? '' : ` Above the axis: ${off} of ${plural(values.length, 'point')}.`;
}
