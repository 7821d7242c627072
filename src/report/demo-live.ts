import type { LiveRun } from '../demo/demo.ts';
import type { Schedule } from '../demo/plan.ts';
import { median, p95OnGrid, serverInFocus, shareOnGrid, type Timeline } from '../demo/timeline.ts';
import { formatDuration } from '../units.ts';
import { formatMeasured, runTitle } from './demo-content.ts';
import { formatPercent } from './format.ts';
import { areaLines, timeAxis } from './share-chart.ts';
import type { Paint } from './terminal.ts';

/** What is known while the demo runs. */
export interface LiveView {
  readonly runs: readonly LiveRun[];
  readonly schedule: Schedule;
  readonly delayNs: number;
}

const chartLines = 3;
const chartWidthMax = 100;
const chartWidthMin = 10;
/** Room for the name of a chart, its scale, and its latest value. */
const nameWidth = 14;
const scaleWidth = 7;
const valueWidth = 7;

/** Columns that the view needs at least. */
export const liveWidthMin = nameWidth + scaleWidth + valueWidth + chartWidthMin + 2;

/** Lines of the view when both runs are in it. */
export const liveHeight = 2 * (1 + 2 * chartLines) + 3;

interface Chart {
  name: string;
  values: (number | null)[];
  top: number;
  text: (value: number) => string;
}

/**
 * Both runs as far as they have come: the client's p95 and the share of the server that becomes slower, over the time of
 * a run. No line is wider than `width` from 40 columns on.
 */
export function liveLines(view: LiveView, width: number, paint: Paint): string[] {
  const { schedule } = view;
  const columns = Math.max(
    chartWidthMin,
    Math.min(chartWidthMax, width - nameWidth - scaleWidth - valueWidth - 2),
  );
  const timelines = view.runs.map((run) => run.timeline());
  const grid = { stepMs: schedule.endMs / columns, count: columns };
  const p95s = timelines.map((timeline) => p95OnGrid(timeline, grid));
  const p95Top = Math.max(1, ...p95s.flat().map((value) => value ?? 0));
  const column = (timeMs: number) => Math.round((timeMs / schedule.endMs) * columns);
  const slower: [number, number] = [column(schedule.injectMs), column(schedule.removeMs)];
  const blocks = timelines.flatMap((timeline, index) => {
    const run = view.runs[index]!;
    const server = serverInFocus(timeline);
    const untilMs = timeline.intervals.at(-1)?.toMs ?? 0;
    const charts: Chart[] = [
      { name: 'client p95', values: p95s[index]!, top: p95Top, text: (us) => formatMeasured(us * 1e3) },
      {
        name: `share of s${server + 1}`,
        values: shareOnGrid(timeline, server, grid, untilMs),
        top: 1,
        text: formatPercent,
      },
    ];
    return [
      `${paint('bold', runTitle[run.name])} ${paint('dim', `(policy ${run.policy})`)}`,
      ...charts.flatMap((chart) => chartBlock(chart, slower, paint)),
    ];
  });
  const indent = ' '.repeat(nameWidth + scaleWidth);
  const marks = markLine(slower, columns, `+${formatDuration(view.delayNs)}`);
  return [
    ...blocks,
    ...timeAxis(0, schedule.endMs / 1e3, columns).map((line) => indent + paint('dim', line)),
    indent + paint('yellow', marks),
  ];
}

/** A chart beside its name, its scale and its latest value; the time with the delay in another color. */
function chartBlock(
  { name, values, top, text }: Chart,
  [from, to]: [number, number],
  paint: Paint,
): string[] {
  const latest = values.findLast((value) => value !== null);
  return areaLines(
    values.map((value) => value ?? 0),
    top,
    chartLines,
  ).map((line, row) => {
    const isLast = row === chartLines - 1;
    const left = (row === 0 ? name : '').padEnd(nameWidth) + scaleAt(row, top, text).padStart(scaleWidth - 1);
    const area =
      paint('cyan', line.slice(0, from)) +
      paint('yellow', line.slice(from, to)) +
      paint('cyan', line.slice(to));
    const right = isLast && latest !== undefined ? ` ${text(latest!)}` : '';
    return `${left}${paint('dim', ' ┤')}${area}${paint('dim', '├')}${right}`;
  });
}

const scaleAt = (row: number, top: number, text: Chart['text']): string =>
  row === 0 ? text(top) : row === chartLines - 1 ? '0' : '';

/** Where the delay is: a line between its ends with what it is, as far as there is room to say so. */
function markLine([from, to]: [number, number], columns: number, delay: string): string {
  const room = to - from - 2;
  const text = [` ${delay} on one server `, ` ${delay} `, ''].find(({ length }) => length <= room) ?? '';
  const left = Math.max(0, (room - text.length) >> 1);
  const inner = '─'.repeat(left) + text + '─'.repeat(Math.max(0, room - left - text.length));
  return `${' '.repeat(from + 1)}├${inner}┤`.slice(0, columns + 2);
}

/** Where a run is, in one line, for output that is no terminal. */
export function liveLine(run: LiveRun, { schedule, delayNs }: LiveView): string {
  const timeline = run.timeline();
  const nowMs = timeline.intervals.at(-1)?.toMs ?? 0;
  const server = serverInFocus(timeline);
  const share = timeline.shares.at(-1)?.share[server];
  const isSlower = timeline.injectedMs !== undefined && timeline.removedMs === undefined;
  const parts = [
    runTitle[run.name].padEnd(16),
    `${(nowMs / 1e3).toFixed(1)}s of ${schedule.endMs / 1e3}s`,
    `client p95 ${recentP95(timeline, nowMs)}`,
    `share of s${server + 1} ${formatPercent(share)}`,
    ...(isSlower ? [`+${formatDuration(delayNs)} on the path to s${server + 1}`] : []),
  ];
  return parts.join('  ');
}

/** A line tells of this much time. */
const recentMs = 1_000;

function recentP95({ intervals }: Timeline, nowMs: number): string {
  const recent = intervals.filter(({ fromMs, p95Us }) => fromMs >= nowMs - recentMs && p95Us !== null);
  const value = median(recent.map(({ p95Us }) => p95Us!));
  return value === null ? '-' : formatMeasured(value * 1e3);
}
