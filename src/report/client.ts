import type uPlot from 'uplot';
import type { ChartSet, LineChart, PointChart, ShareChart, TrendChart } from './charts.ts';

/**
 * The chart code that runs in the browser. A page gets the text of these functions, so they refer to one another, to
 * their arguments and to what every browser has, and to nothing else of this project.
 */

/** The parts of a browser window used here. The compiler's DOM library would put its globals into every file. */
interface BrowserWindow {
  document: { documentElement: object; getElementById(id: string): Holder | null };
  getComputedStyle(element: object): { getPropertyValue(name: string): string };
  matchMedia(query: string): { addEventListener(type: 'change', listener: () => void): void };
  ResizeObserver: new (listener: () => void) => { observe(element: Holder): void };
}

/** The element that a chart is drawn into. */
interface Holder {
  clientWidth: number;
}

/** Draws every chart of the set, and again when the window's width or the color scheme changes. */
function drawCharts(UPlot: typeof uPlot, window: BrowserWindow, set: ChartSet): void {
  const color = (name: string) =>
    window.getComputedStyle(window.document.documentElement).getPropertyValue(`--${name}`);
  for (const chart of set.charts) {
    const holder = window.document.getElementById(chart.id);
    if (!holder) continue;
    const [options, data] =
      chart.kind === 'points'
        ? pointPlot(UPlot, set, chart, color)
        : chart.kind === 'shares'
          ? sharePlot(UPlot, set, chart, color)
          : chart.kind === 'trends'
            ? trendPlot(UPlot, set, chart, color)
            : linePlot(set, chart, color);
    const height = () => (holder.clientWidth < 500 ? 220 : 270);
    const plot = new UPlot(
      { ...options, width: holder.clientWidth, height: height() },
      data,
      holder as never,
    );
    new window.ResizeObserver(() => plot.setSize({ width: holder.clientWidth, height: height() })).observe(
      holder,
    );
    window
      .matchMedia('(prefers-color-scheme: dark)')
      .addEventListener('change', () => plot.redraw(false, false));
  }
}

type Plot = [options: Omit<uPlot.Options, 'width' | 'height'>, data: uPlot.AlignedData];
type Color = (name: string) => string;

function pointPlot(UPlot: typeof uPlot, set: ChartSet, chart: PointChart, color: Color): Plot {
  const tables = chart.series.map(({ points }): uPlot.AlignedData => {
    const { timeS, latencyUs } = set.points[points]!;
    return [timeS, latencyUs];
  });
  // The ends of the time axis go in as data without values, so that zooming out shows the same range everywhere.
  const [times, , ...values] = UPlot.join([[set.timeS, [null, null]], ...tables]);
  const [min, max] = chart.latencyUs;
  const series = chart.series.map(({ label, color: name, line, points }): uPlot.Series => {
    // Few points need to be larger to be seen, and the truth to be seen around what covers it.
    const size = (set.points[points]!.timeS.length > 3000 ? 3 : 5) + (name === 'truth' ? 2 : 0);
    const common: uPlot.Series = {
      label,
      stroke: () => color(name),
      value: (_plot, value) => (value == null ? '-' : latencyText(value)),
    };
    if (line) return { ...common, class: 'unlisted', width: 1.5, points: { show: false } };
    return {
      ...common,
      alpha: 0.75,
      paths: () => null,
      points: { show: true, size, width: 0, fill: () => color(name) },
    };
  });
  const colors = chart.series.map(({ color }) => color);
  const options = plotOptions(set, color, colors, series, latencyAxis(min, max));
  return [options, [times!, ...values] as uPlot.AlignedData];
}

function sharePlot(UPlot: typeof uPlot, set: ChartSet, chart: ShareChart, color: Color): Plot {
  // Each area goes from 0 to the sum of its own share and those below, and covers the lower part of those before.
  const sums = chart.series.map((_, first) =>
    chart.timeS.map((_, step) =>
      chart.series.slice(first).reduce((sum, { percent }) => sum + percent[step]!, 0),
    ),
  );
  const series = chart.series.map(
    ({ label, color: name, percent }): uPlot.Series => ({
      label,
      width: 0,
      fill: () => color(name),
      paths: UPlot.paths.stepped!({ align: 1 }),
      points: { show: false },
      value: (_plot, _value, _series, index) => (index == null ? '-' : `${percent[index]!.toFixed(1)}%`),
    }),
  );
  const colors = chart.series.map(({ color }) => color);
  const options = plotOptions(set, color, colors, series, {
    scale: { range: () => [0, 100] },
    axis: { splits: () => [0, 25, 50, 75, 100], values: (_plot, ticks) => ticks.map((tick) => `${tick}%`) },
  });
  return [{ ...options, class: 'shares' }, [chart.timeS, ...sums]];
}

function linePlot(set: ChartSet, chart: LineChart, color: Color): Plot {
  const text = (value: number) => {
    if (chart.unit === 'percent') return `${Number(value.toFixed(1))}%`;
    return value === 0 ? '0' : latencyText(value);
  };
  const series = chart.series.map(
    ({ label, color: name }): uPlot.Series => ({
      label,
      stroke: () => color(name),
      width: 2,
      points: { show: false },
      value: (_plot, value) => (value == null ? '-' : text(value)),
    }),
  );
  const colors = chart.series.map(({ color }) => color);
  const { min, max } = chart;
  const options = plotOptions(
    set,
    color,
    colors,
    series,
    min === undefined
      ? { scale: { range: () => [0, max] }, axis: { values: (_plot, ticks) => ticks.map(text) } }
      : latencyAxis(min, max),
  );
  const hooks = { drawClear: [(plot: uPlot) => shadeSpan(plot, chart.span, color)] };
  return [{ ...options, hooks }, [chart.timeS, ...chart.series.map(({ values }) => values)]];
}

function trendPlot(UPlot: typeof uPlot, set: ChartSet, chart: TrendChart, color: Color): Plot {
  const tables = chart.series.map(({ timeS, latencyUs }): uPlot.AlignedData => [timeS, latencyUs]);
  const [times, , ...values] = UPlot.join([[chart.timeS, [null, null]], ...tables]);
  const [min, max] = chart.latencyUs;
  const series = chart.series.map(
    ({ label, color: name, width, timeS }): uPlot.Series => ({
      label,
      stroke: () => color(name),
      width,
      // A line of one or two points would not be seen.
      points: { show: timeS.length < 3, size: 4 + width, width: 0, fill: () => color(name) },
    }),
  );
  const { axes, ...options } = plotOptions(
    set,
    color,
    chart.series.map(({ color }) => color),
    series,
    {
      scale: { distr: 3, range: () => [min, max] },
      axis: {
        splits: () => latencyTicks(min, max),
        filter: (_plot, ticks) => ticks,
        values: (_plot, ticks) => ticks.map(latencyText),
      },
    },
  );
  const [timeAxis, latencyAxis] = axes!;
  const small = { ...options, axes: [{ ...timeAxis, label: 's', labelSize: 14, size: 24 }, latencyAxis!] };
  // Charts have nothing in common but how they look: each has its own time, and a legend stands above all.
  const cursor = { drag: options.cursor!.drag!, points: { show: false } };
  const hooks = { drawClear: [(plot: uPlot) => markTime(plot, chart.markS, color)] };
  return [{ ...small, cursor, legend: { show: false }, hooks }, [times!, ...values] as uPlot.AlignedData];
}

/** A dashed vertical line, before anything else is drawn. */
function markTime(plot: uPlot, timeS: number | undefined, color: Color): void {
  if (timeS === undefined) return;
  const { ctx, bbox } = plot;
  const x = plot.valToPos(timeS, 'x', true);
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  const pixels = ctx.canvas.width / plot.width;
  ctx.save();
  ctx.strokeStyle = color('muted');
  ctx.lineWidth = pixels;
  ctx.setLineDash([4 * pixels, 3 * pixels]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

/** Shades a span of time before anything else is drawn, and names it at the top. */
function shadeSpan(plot: uPlot, span: LineChart['span'], color: Color): void {
  const { ctx, bbox } = plot;
  const [left, right] = [span.fromS, span.toS].map((time) =>
    Math.min(bbox.left + bbox.width, Math.max(bbox.left, plot.valToPos(time, 'x', true))),
  ) as [number, number];
  // Sizes on the canvas are in pixels of the screen, of which a CSS pixel may have several.
  const pixels = ctx.canvas.width / plot.width;
  ctx.save();
  ctx.fillStyle = color('shade');
  ctx.fillRect(left, bbox.top, right - left, bbox.height);
  ctx.fillStyle = color('muted');
  ctx.font = `${12 * pixels}px system-ui, sans-serif`;
  ctx.textBaseline = 'top';
  ctx.fillText(span.label, left + 6 * pixels, bbox.top + 4 * pixels);
  ctx.restore();
}

/** What all charts share: the time axis, the crosshair that moves in all of them, and zooming by dragging. */
function plotOptions(
  set: ChartSet,
  color: Color,
  colors: string[],
  series: uPlot.Series[],
  y: { scale: uPlot.Scale; axis: uPlot.Axis },
): Plot[0] {
  const line = { stroke: () => color('grid'), width: 1 };
  const axis = { stroke: () => color('muted'), grid: line, ticks: { ...line, size: 4 } };
  const cssColor = (_plot: unknown, index: number) => `var(--${colors[index - 1]})`;
  return {
    series: [
      { label: 'time', value: (_plot, value) => (value == null ? '-' : `${value.toFixed(3)}s`) },
      ...series,
    ],
    scales: { x: { time: false }, y: y.scale },
    axes: [
      { ...axis, label: `${set.timeLabel} (s)`, labelSize: 22, size: 30 },
      { ...axis, ...y.axis, size: 58 },
    ],
    padding: [12, 12, 0, 0],
    legend: { markers: { width: 0, fill: cssColor } },
    cursor: {
      drag: { x: true, y: false, dist: 8 },
      // An index of a chart's own points means nothing in another: only the time is common.
      sync: { key: 'time', setSeries: false, scales: ['x', null] },
      hover: { prox: 30, skip: [undefined, null] },
      points: {
        size: (plot, index) => (plot.series[index]!.class === 'unlisted' ? 0 : 8),
        fill: cssColor,
        stroke: cssColor,
      },
    },
  };
}

/** A latency in microseconds for people: `64us`, `2ms`, `1.5s`. */
function latencyText(us: number): string {
  const [value, unit] =
    us >= 1e6 ? [us / 1e6, 's'] : us >= 1e3 ? [us / 1e3, 'ms'] : us >= 1 ? [us, 'us'] : [us * 1e3, 'ns'];
  return `${Number(value.toPrecision(3))}${unit}`;
}

/** A logarithmic axis of latencies in microseconds. */
function latencyAxis(min: number, max: number): { scale: uPlot.Scale; axis: uPlot.Axis } {
  return {
    scale: { distr: 3, range: () => [min, max] },
    axis: {
      splits: () => latencyTicks(min, max),
      filter: (_plot, ticks) => ticks,
      values: (_plot, ticks) => ticks.map(latencyText),
    },
  };
}

/** Round latencies in the range: 1, 2 and 5 of each power of ten, or the powers alone when there are many. */
function latencyTicks(min: number, max: number): number[] {
  const factors = max / min > 2e3 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++) {
    for (const factor of factors) ticks.push(Number((factor * 10 ** power).toPrecision(1)));
  }
  return ticks.filter((tick) => tick >= min && tick <= max);
}

/** The functions as the text of a script that defines `drawCharts(uPlot, window, set)`. */
export const clientScript = [
  drawCharts,
  pointPlot,
  sharePlot,
  linePlot,
  trendPlot,
  markTime,
  shadeSpan,
  plotOptions,
  latencyText,
  latencyAxis,
  latencyTicks,
].join('\n');
