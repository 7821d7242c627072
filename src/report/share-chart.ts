import type { PolicySummary } from '../datapath/replay/result.ts';
import { formatDuration } from '../units.ts';
import { formatPercent, printable } from './format.ts';
import { type ShareSeries, shareSeries } from './shares.ts';
import { type Paint, truncate, wrapLines } from './terminal.ts';

/** Backends with a row of their own; the rest share one row, so that the chart fits a screen. */
const rowsMax = 10;
/** With this many backends or fewer there is room for charts several lines high. */
const tallSeriesMax = 3;
const tallLines = 3;
/** Wider charts are no easier to read. */
const chartWidthMax = 100;
const chartWidthMin = 10;

const blocks = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** Columns of a share at the start or the end: ` 0.8%`. */
const figureWidth = 5;

/**
 * Share of slots of every backend over time, one small area chart each on a common scale from 0, with the share at
 * the start and at the end beside it, and the time below. No line is wider than `width` from 40 columns on.
 */
export function shareChart(policy: PolicySummary, width: number, paint: Paint): string[] {
  const series = shareSeries(policy, rowsMax).map(meanOfMembers);
  if (series.length === 0 || policy.time_s.length === 0) return [];
  const top = scaleTop(series);
  const names = series.map(({ name }) => truncate(printable(name), Math.max(8, Math.floor(width / 4))));
  const nameWidth = Math.max(...names.map((name) => [...name].length));
  const room = width - nameWidth - 2 * figureWidth - ' ┤├'.length;
  const chartWidth = Math.max(chartWidthMin, Math.min(chartWidthMax, room));
  const height = series.length <= tallSeriesMax ? tallLines : 1;
  const charts = series.map(({ share }, index) => {
    const first = names[index]!.padEnd(nameWidth) + formatPercent(share[0]).padStart(figureWidth + 1);
    const last = formatPercent(share.at(-1)).padStart(figureWidth);
    return areaLines(resample(share, chartWidth), top, height).map((line, row) => {
      const [left, right] = row === height - 1 ? [first, last] : [' '.repeat(first.length), ''];
      return `${left}${paint('dim', '┤')}${paint('cyan', line)}${paint('dim', '├')}${right}`;
    });
  });
  const caption = `Share of slots over capture time, each backend from 0 to ${formatPercent(top)}; left: at the start, right: at the end.`;
  const indent = ' '.repeat(nameWidth + 1 + figureWidth);
  return [
    ...wrapLines(caption, width, '').map((line) => paint('dim', line)),
    ...charts.flatMap((lines, index) => (height > 1 && index > 0 ? ['', ...lines] : lines)),
    ...timeAxis(policy.time_s[0]!, policy.time_s.at(-1)! - policy.time_s[0]!, chartWidth).map((line) =>
      paint('dim', indent + line),
    ),
  ];
}

/** What stands for several backends becomes their mean, so that it can be compared with the rows of single ones. */
function meanOfMembers(series: ShareSeries): ShareSeries {
  if (series.members === 1) return series;
  return {
    ...series,
    name: `mean of ${series.name}`,
    share: series.share.map((share) => share / series.members),
  };
}

/** The scale's end: the smallest of some round shares that holds every value, so that small shares remain visible. */
function scaleTop(series: ShareSeries[]): number {
  const largest = series.reduce((top, { share }) => share.reduce((a, b) => Math.max(a, b), top), 0);
  return [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1].find((top) => largest <= top + 1e-9) ?? 1;
}

/** The mean of the values that fall into each of `width` equal parts; a part with none repeats the value before. */
function resample(values: number[], width: number): number[] {
  return Array.from({ length: width }, (_, column) => {
    const from = Math.floor((column * values.length) / width);
    const to = Math.max(from + 1, Math.floor(((column + 1) * values.length) / width));
    const part = values.slice(from, to);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

/**
 * Values as blocks, `height` lines from top to bottom; what is above 0 shows at least the lowest block, what is not
 * shows none.
 */
export function areaLines(values: readonly number[], top: number, height: number): string[] {
  const steps = blocks.length - 1;
  const levels = values.map((value) =>
    value <= 0 ? 0 : Math.max(1, Math.round((Math.min(value, top) / top) * height * steps)),
  );
  return Array.from({ length: height }, (_, row) => {
    const below = (height - 1 - row) * steps;
    return levels.map((level) => blocks[Math.min(steps, Math.max(0, level - below))]).join('');
  });
}

/** The time axis, in seconds: a rule with ticks at round times, and the times below their ticks. */
export function timeAxis(start: number, span: number, width: number): string[] {
  const rule = ['└', ...'─'.repeat(width), '┘'];
  const labels = ' '.repeat(rule.length + 5).split('');
  const step = roundStep(span, Math.max(1, Math.floor(width / 12)));
  for (let time = Math.ceil(start / step - 1e-9) * step; time <= start + span + step * 1e-9; time += step) {
    const column = span === 0 ? 0 : Math.round(((time - start) / span) * width);
    if (column > 0 && column < width) rule[column] = '┬';
    labels.splice(column, tickLabel(time).length, ...tickLabel(time));
  }
  return [rule.join(''), labels.join('').trimEnd()];
}

const tickLabel = (timeS: number): string => (timeS === 0 ? '0s' : formatDuration(timeS * 1e9));

/** The smallest of 1, 2, 5 x 10^n that cuts `span` into at most `count` parts; 1 for no span. */
function roundStep(span: number, count: number): number {
  if (span <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  return power * ([1, 2, 5, 10].find((factor) => span / (power * factor) <= count) ?? 10);
}
