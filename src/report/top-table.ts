import { formatPercent, printable } from './format.ts';
import { type Style, truncate } from './terminal.ts';
import type { TopOptions, TopSort } from './top.ts';
import type { TopBackend, TopVip } from './top-view.ts';

const nameWidthMax = 39;
const nameWidthMin = 9;
const barWidth = 8;
const figureWidth = 6;
const gap = '  ';
const chartTitle = 'p99, last minute';
const chartWidthMin = 8;
const chartWidthMax = 30;

/** A column beside name and state; narrow terminals go without some. */
const figures = ['new/s', 'pkt/s', 'held', 'flight', 'p50', 'p99'] as const;

type Figure = (typeof figures)[number];

/** For the chart, and for a line that does not fit without it. */
const droppedFirst: readonly Figure[] = ['held', 'flight', 'pkt/s', 'p50'];
const droppedLast: readonly Figure[] = ['new/s', 'p99'];

/** Which columns there are, and how wide: the same for all vips. */
export interface Columns {
  readonly name: number;
  readonly state: number;
  readonly figures: readonly Figure[];
  /** Width of the chart of the last minute; 0 without one. */
  readonly chart: number;
}

/** As much as fits into `width`: the chart gives way first, then figures that say least. */
export function columnsFor(backends: readonly TopBackend[], width: number): Columns {
  const longest = Math.max(nameWidthMin, ...backends.map(({ backend }) => [...printable(backend)].length));
  const name = Math.min(longest, nameWidthMax, Math.max(nameWidthMin, Math.floor(width / 4)));
  const state = Math.max('state'.length, ...backends.map((one) => stateWord(one).length));
  const share = barWidth + 1 + 4;
  const fixed = name + gap.length + state + gap.length + share;
  const shown = new Set<Figure>(figures);
  const room = () => width - fixed - shown.size * (gap.length - 1 + figureWidth) - gap.length;
  for (const figure of droppedFirst) if (room() < chartWidthMin) shown.delete(figure);
  for (const figure of droppedLast) if (room() + gap.length < 0) shown.delete(figure);
  const chart = room() >= chartWidthMin ? Math.min(chartWidthMax, room()) : 0;
  return { name, state, figures: figures.filter((figure) => shown.has(figure)), chart };
}

/** The head of a vip's table and a line for each backend. */
export function rowLines({ backends, kind }: TopVip, columns: Columns, options: TopOptions): string[] {
  const { paint } = options;
  const head = [
    'backend'.padEnd(columns.name),
    'state'.padEnd(columns.state),
    'share'.padEnd(barWidth + 5),
  ].join(gap);
  const titles = columns.figures.map((figure) => ` ${figure.padStart(figureWidth)}`).join('');
  const chart = columns.chart > 0 ? gap + (columns.chart < chartTitle.length ? 'p99 60s' : chartTitle) : '';
  const shareTop = Math.max(...backends.map(({ share, weight }) => Math.max(share, weight)));
  const scale = latencyScale(backends);
  const rows = sorted(backends, options.sort, options.isReversed).map((one) => {
    const style = stateStyle(one);
    const word = stateWord(one).padEnd(columns.state);
    const share = formatPercent(one.share).padStart(4);
    return [
      truncate(printable(one.backend), columns.name).padEnd(columns.name),
      gap,
      style ? paint(style, word) : word,
      gap,
      paint('cyan', bar(one.share, shareTop, barWidth, one.weight)),
      ` ${share}`,
      measured(one, columns, scale, options),
    ].join('');
  });
  return [paint('dim', head + titles + (kind === '' ? '' : chart)), ...rows];
}

/** Figures and the chart of the last minute; of a backend that cannot be used why, in place of its latencies. */
function measured(
  one: TopBackend,
  columns: Columns,
  scale: Scale | undefined,
  { paint }: Pick<TopOptions, 'paint'>,
): string {
  const cell = (figure: Figure) => ` ${figureText(one, figure).padStart(figureWidth)}`;
  const { chart } = columns;
  if (one.problem === null) {
    const minute =
      chart > 0 && scale ? gap + paint('cyan', chartText(one.p99_ns_by_second, chart, scale)) : '';
    return columns.figures.map(cell).join('') + minute;
  }
  const kept = columns.figures.filter((figure) => figure === 'new/s' || figure === 'pkt/s');
  const left = columns.figures.length - kept.length;
  const room = left * (1 + figureWidth) + (chart > 0 ? gap.length + chart : 0) - gap.length;
  return kept.map(cell).join('') + gap + paint('yellow', truncate(printable(one.problem), room));
}

function figureText(one: TopBackend, figure: Figure): string {
  switch (figure) {
    case 'new/s':
      return compact(one.flows_per_s);
    case 'pkt/s':
      return compact(one.packets_per_s);
    case 'held':
      return compact(one.flows_held);
    case 'flight':
      return one.in_flight === null ? '-' : compact(one.in_flight);
    case 'p50':
      return latencyText(one.p50_ns);
    case 'p99':
      return latencyText(one.p99_ns);
  }
}

/** What matters most of a backend in a word or two: `up`, `drain`, `drain/down`, `ejected`, `unusable`. */
export function stateWord({
  state,
  health,
  problem,
}: Pick<TopBackend, 'state' | 'health' | 'problem'>): string {
  // An obstacle is known of a backend that checks still say is up.
  const known = health === 'up' && problem !== null ? 'unusable' : health;
  if (state === 'ready') return known === 'unchecked' ? 'ready' : known;
  return state === 'drain' && (known === 'down' || known === 'unusable') ? `${state}/down` : state;
}

function stateStyle(one: TopBackend): Style | undefined {
  const { state, health, problem } = one;
  if (health === 'down' || (health === 'up' && problem !== null)) return 'red';
  if (state !== 'ready' || health === 'ejected' || health === 'starting') return 'yellow';
  return health === 'up' ? 'green' : undefined;
}

function sorted(backends: readonly TopBackend[], sort: TopSort, isReversed: boolean): TopBackend[] {
  const values: Record<Exclude<TopSort, 'name'>, (one: TopBackend) => number> = {
    share: ({ share }) => share,
    flows: ({ flows_per_s }) => flows_per_s,
    packets: ({ packets_per_s }) => packets_per_s,
    flight: ({ in_flight }) => in_flight ?? -1,
    p99: ({ p99_ns }) => p99_ns ?? -1,
  };
  const ordered =
    sort === 'name' ? [...backends] : backends.toSorted((a, b) => values[sort](b) - values[sort](a));
  return isReversed ? ordered.reverse() : ordered;
}

/**
 * A bar of `width` characters to half of one, `top` at full width; a line where `mark` is, unless the bar covers it. Bars
 * of lines below one another do not touch.
 */
export function bar(value: number, top: number, width: number, mark?: number): string {
  const halves = top > 0 ? Math.round(Math.max(0, Math.min(1, value / top)) * width * 2) : 0;
  // What is above 0 is seen.
  const seen = value > 0 ? Math.max(1, halves) : halves;
  const cells = [...`${'━'.repeat(seen >> 1)}${seen & 1 ? '╸' : ''}`.padEnd(width, '·')];
  const at = mark === undefined || !(top > 0) ? -1 : Math.min(width - 1, Math.floor((mark / top) * width));
  if (at >= 0 && cells[at] === '·') cells[at] = '│';
  return cells.join('');
}

interface Scale {
  readonly low: number;
  readonly high: number;
}

/** Latencies of backends are on one scale, so that they compare; it is logarithmic and spans at least a factor of 4. */
function latencyScale(backends: readonly TopBackend[]): Scale | undefined {
  let [low, high] = [Number.POSITIVE_INFINITY, 0];
  for (const { p99_ns_by_second } of backends) {
    for (const value of p99_ns_by_second) {
      if (value === null || value <= 0) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return high > 0 ? { low, high: Math.max(high, 4 * low) } : undefined;
}

const blocks = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** The last minute in `width` characters, the largest value of each part; nothing where there was none. */
export function chartText(values: readonly (number | null)[], width: number, { low, high }: Scale): string {
  const minute = 60;
  const all = [...Array<null>(Math.max(0, minute - values.length)).fill(null), ...values.slice(-minute)];
  return Array.from({ length: width }, (_, column) => {
    const part = all.slice(
      Math.floor((column * minute) / width),
      Math.floor(((column + 1) * minute) / width),
    );
    const value = Math.max(0, ...part.map((one) => one ?? 0));
    if (value === 0) return ' ';
    const level = Math.log(value / low) / Math.log(high / low);
    return blocks[Math.max(0, Math.min(blocks.length - 1, Math.round(level * (blocks.length - 1))))]!;
  }).join('');
}

/** A count or rate in at most 5 characters: `0.3`, `12`, `9999`, `12.3k`, `1.23M`. */
export function compact(value: number): string {
  const scales = [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const;
  // 99,999 is 100k, not 100.0k.
  const rounded = value >= 1e4 ? Number(value.toPrecision(3)) : value;
  const scale = rounded >= 1e4 ? scales.find(([size]) => rounded >= size) : undefined;
  if (scale) return `${Number((rounded / scale[0]).toPrecision(3))}${scale[1]}`;
  return `${Number(value.toFixed(value < 10 ? 1 : 0))}`;
}

/** A latency in at most 6 characters: `64us`, `1.02ms`, `-` if there is none. */
export function latencyText(ns: number | null): string {
  if (ns === null) return '-';
  const rounded = Number(ns.toPrecision(3));
  const [scale, unit] = [[1e9, 's'] as const, [1e6, 'ms'] as const, [1e3, 'us'] as const].find(
    ([size]) => rounded >= size,
  ) ?? [1, 'ns'];
  return `${Number((rounded / scale).toPrecision(3))}${unit}`;
}
