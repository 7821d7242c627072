import type { LatencySeries } from '../datapath/replay/result.ts';

/**
 * What the charts of a page show, as it is written into the page. Colors are CSS variables of the page's style sheet
 * without the leading dashes: `series-1` to `series-7`, `other`, `truth`, `text`.
 */
export interface ChartSet {
  /** Range of the time axis in seconds, the same in every chart. */
  timeS: [min: number, max: number];
  /** What the time is counted from: `capture time`. */
  timeLabel: string;
  charts: (PointChart | ShareChart | LineChart | TrendChart)[];
  /** Points that charts refer to by index: several may show the same. */
  points: Points[];
}

/** Latencies over time on a logarithmic axis. */
export interface PointChart {
  kind: 'points';
  /** Of the element that holds the chart. */
  id: string;
  /** Range of the axis of latencies in microseconds; above 0. */
  latencyUs: [min: number, max: number];
  /** Drawn in this order, each over those before. */
  series: PointSeries[];
}

export interface PointSeries {
  label: string;
  color: string;
  /** Points are drawn as such, or joined by a line that the legend leaves out: the text beside the chart explains it. */
  line: boolean;
  /** Index into ChartSet.points. */
  points: number;
}

/** Shares over time, stacked to 100 %; the first on top. */
export interface ShareChart {
  kind: 'shares';
  id: string;
  timeS: number[];
  series: { label: string; color: string; percent: number[] }[];
}

/** Lines over time, on a linear axis from 0 unless `min` says otherwise; a line has a gap where a value is null. */
export interface LineChart {
  kind: 'lines';
  id: string;
  unit: 'us' | 'percent';
  /** Start of a logarithmic axis, above 0. */
  min?: number;
  /** End of the axis of values; a line that goes beyond leaves the chart. */
  max: number;
  timeS: number[];
  series: { label: string; color: string; values: (number | null)[] }[];
  /** A span of time that is shaded and named. */
  span: { fromS: number; toS: number; label: string };
}

/** Lines of latencies over a time of their own, on a logarithmic axis: one of many small charts with a common legend. */
export interface TrendChart {
  kind: 'trends';
  id: string;
  timeS: [min: number, max: number];
  latencyUs: [min: number, max: number];
  /** Drawn in this order; `width` in pixels. */
  series: { label: string; color: string; width: number; timeS: number[]; latencyUs: number[] }[];
  /** A time that is marked by a vertical line. */
  markS?: number;
}

/** Points in order of time; no two at the same time, for the charts tell points of a series apart by their time. */
export interface Points {
  timeS: number[];
  latencyUs: number[];
}

/** Colors that differ in hue and lightness, so that they can be told apart with any color vision. */
export const seriesColors = [
  'series-1',
  'series-2',
  'series-3',
  'series-4',
  'series-5',
  'series-6',
  'series-7',
];

/** Times are rounded to this part of the range: finer than any screen, and short in the page. */
const timeSteps = 1e7;

/**
 * One series of points from several, rounded to what can be seen. Left out are latencies at or below 0, which a
 * logarithmic axis cannot show, and times outside of the range: a truth may be longer than the capture. Points at the same time are moved apart by one step.
 */
export function toPoints(series: LatencySeries[], spanS: number): Points {
  const step = 10 ** Math.ceil(Math.log10(Math.max(spanS, 1e-3) / timeSteps));
  const digits = Math.max(0, -Math.round(Math.log10(step)));
  const order = inOrder(series).filter(({ time, latency }) => time >= 0 && time <= spanS && latency > 0);
  let last = Number.NEGATIVE_INFINITY;
  const timeS = order.map(({ time }) => {
    last = Math.max(Math.round(time / step), last + 1);
    return Number((last * step).toFixed(digits));
  });
  return { timeS, latencyUs: order.map(({ latency }) => Number((latency / 1e3).toPrecision(4))) };
}

/** Parts of the time that medians are taken of: enough to follow a step. */
const medianPartsMax = 200;
/** With fewer points in a part on average, a median would be as restless as they are. */
const pointsPerPart = 15;

/** The median latency of each part of the time that has any, at the mean time of the part's samples. */
export function medianLine(series: LatencySeries[], spanS: number): LatencySeries {
  const all = inOrder(series);
  const count = Math.max(1, Math.min(medianPartsMax, Math.floor(all.length / pointsPerPart)));
  const parts = new Map<number, { time: number; latency: number }[]>();
  for (const point of all) {
    const part = Math.floor((point.time / spanS) * count);
    const points = parts.get(part);
    if (points) points.push(point);
    else parts.set(part, [point]);
  }
  const medians = [...parts.values()].map((points) => ({
    time: points.reduce((sum, { time }) => sum + time, 0) / points.length,
    latency: points.map(({ latency }) => latency).sort((a, b) => a - b)[points.length >> 1]!,
  }));
  return {
    estimator: 'median',
    backend: '',
    timeS: medians.map(({ time }) => time),
    latencyNs: medians.map(({ latency }) => latency),
    total: medians.length,
  };
}

function inOrder(series: LatencySeries[]): { time: number; latency: number }[] {
  return series
    .flatMap(({ timeS, latencyNs }) => timeS.map((time, index) => ({ time, latency: latencyNs[index]! })))
    .sort((a, b) => a.time - b.time);
}
