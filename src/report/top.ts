import { spanText } from '../admin/dashboard/client.ts';
import { formatCount, formatPercent, printable } from './format.ts';
import { type Paint, truncate } from './terminal.ts';
import { bar, columnsFor, compact, rowLines } from './top-table.ts';
import type { TopDecision, TopDrop, TopView, TopVip } from './top-view.ts';

/** What backends are ordered by; `name` is the order of the configuration. */
export const topSorts = ['name', 'share', 'flows', 'packets', 'flight', 'p99'] as const;

export type TopSort = (typeof topSorts)[number];

/** How somebody looks at it. */
export interface TopOptions {
  readonly width: number;
  /** Lines that there are; undefined for as many as it takes. */
  readonly height?: number;
  readonly paint: Paint;
  readonly sort: TopSort;
  /** Least first. */
  readonly isReversed: boolean;
  /** Only this vip; undefined for all. */
  readonly vip?: string;
  /** Lines of vips and backends that were scrolled away. */
  readonly scroll: number;
  /** Beside the time: that it stands still, or that nobody answers. */
  readonly notice?: string;
  /** Whether to name the keys. */
  readonly hasKeys: boolean;
}

const widthMin = 40;
const decisionsMin = 3;
const decisionsMax = 12;
const gaugeWidth = 10;

export const topKeys =
  'q quit  space pause  v vip  ↑↓ scroll  sort: n name  s share  f flows  p packets  i in flight  l p99';

/** A frame: no line is wider than `width` from 40 columns on, and there are no more than `height` from 10 on. */
export function topLines(view: TopView, options: TopOptions): string[] {
  const width = Math.max(widthMin, options.width);
  const head = headLines(view, width, options);
  const body = bodyLines(view, width, options);
  const foot = footLines(view, width, options);
  const { height } = options;
  if (height === undefined) return [...head, ...body, '', ...foot(decisionsMax)];
  const spare = height - head.length - body.length - 1;
  const few = foot(Math.max(decisionsMin, Math.min(decisionsMax, spare - foot(0).length)));
  const room = Math.max(1, height - head.length - few.length - 1);
  return [...head, ...window(body, room, options.scroll, options.paint), '', ...few].slice(0, height);
}

/** How far it can be scrolled. */
export function scrollMax(view: TopView, options: TopOptions): number {
  if (options.height === undefined) return 0;
  const width = Math.max(widthMin, options.width);
  const foot = footLines(view, width, options)(decisionsMin).length;
  const room = options.height - headLines(view, width, options).length - foot - 1;
  return Math.max(0, bodyLines(view, width, options).length - Math.max(1, room));
}

/** As many of the lines as there is room for; the last one says how many are left. */
function window(lines: readonly string[], room: number, scroll: number, paint: Paint): string[] {
  const from = Math.max(0, Math.min(scroll, lines.length - room));
  const shown = lines.slice(from, from + room);
  const below = lines.length - from - shown.length;
  if (below > 0) shown[shown.length - 1] = paint('dim', `  ↓ ${below + 1} more lines`);
  return shown;
}

function headLines(view: TopView, width: number, { paint, notice }: TopOptions): string[] {
  const { datapath, flows } = view;
  const name = `inband on ${printable(view.interface)}`;
  const about = `  ${datapath.name} ${datapath.mode}, up ${spanText(view.uptime_s)}, version ${view.version}`;
  const time = `${view.time.slice(11, 19)} UTC`;
  const right = notice === undefined ? time : `${printable(notice)}  ${time}`;
  const left = truncate(name + about, Math.max(name.length, width - right.length - 2));
  const gap = ' '.repeat(Math.max(2, width - left.length - right.length));
  const first =
    paint('bold', left.slice(0, name.length)) +
    paint('dim', left.slice(name.length)) +
    gap +
    (notice === undefined ? paint('dim', right) : paint('yellow', right));
  const used = flows.capacity > 0 ? flows.held / flows.capacity : 0;
  const parts: [string, boolean][] = [
    [`${compact(view.packets_per_s)} packets/s`, false],
    [`${compact(flows.begun_per_s)} new flows/s`, false],
    [`${compact(view.lost_per_s)} lost/s`, view.lost_per_s > 0],
    [
      `flow table ${bar(used, 1, gaugeWidth)} ${formatPercent(used)} of ${compact(flows.capacity)}`,
      used > 0.8,
    ],
    ...(flows.refused_per_s > 0
      ? [[`${compact(flows.refused_per_s)} refused/s`, true] as [string, boolean]]
      : []),
    ...(view.ticks_late_per_s > 0
      ? [[`${compact(view.ticks_late_per_s)} late ticks/s`, false] as [string, boolean]]
      : []),
  ];
  return [first, fitting(parts, width, paint)];
}

/** Parts with two spaces between, as many as fit; those that are bad stand out. */
function fitting(parts: readonly [string, boolean][], width: number, paint: Paint): string {
  const shown: string[] = [];
  let used = 0;
  for (const [text, isBad] of parts) {
    used += text.length + (shown.length > 0 ? 2 : 0);
    if (used > width) break;
    shown.push(isBad ? paint('yellow', text) : text);
  }
  return shown.join('  ');
}

function bodyLines(view: TopView, width: number, options: TopOptions): string[] {
  const vips = view.vips.filter(({ vip }) => options.vip === undefined || vip === options.vip);
  const columns = columnsFor(
    vips.flatMap(({ backends }) => backends),
    width,
  );
  return vips.flatMap((vip) => ['', vipLine(vip, width, options.paint), ...rowLines(vip, columns, options)]);
}

function vipLine({ vip, policy, kind, ...rates }: TopVip, width: number, paint: Paint): string {
  const name = truncate(printable(vip), width);
  const flows = `${compact(rates.flows_per_s)} new flows/s, ${compact(rates.packets_per_s)} packets/s`;
  const about = `  ${flows}, ${printable(policy)}${kind === '' ? '' : ` on ${printable(kind)}`}`;
  return paint('bold', name) + truncate(about, width - name.length);
}

function footLines(
  view: TopView,
  width: number,
  { paint, hasKeys, vip }: TopOptions,
): (count: number) => string[] {
  const decisions = view.decisions.filter((one) => vip === undefined || one.vip === vip);
  return (count) => [
    paint('bold', 'Decisions') + (decisions.length === 0 ? paint('dim', '  none yet') : ''),
    ...decisions.slice(0, count).map((one) => decisionLine(one, view.vips.length > 1, width, paint)),
    dropLine(view, width, paint),
    ...(hasKeys ? [paint('dim', truncate(topKeys, width))] : []),
  ];
}

/** The end of a decision in words. */
const sharePattern = /^(.*) -> share (\S+) -> (\S+)$/;

/** When, whose share became what, and why; the vip where there are several and there is room. */
function decisionLine(
  { until, vip, backend, steps, text }: TopDecision,
  hasVip: boolean,
  width: number,
  paint: Paint,
): string {
  const time = until.slice(11, 19);
  const [, why = text, before, after] = sharePattern.exec(text) ?? [];
  const share = before === undefined ? '' : `${before} -> ${after}  `;
  const lasting = steps > 1 ? ` (${steps} steps)` : '';
  const told = `${backend}  ${share}${why}${lasting}`;
  const room = width - time.length - 2;
  const full = hasVip ? `${told}  of ${vip}` : told;
  return `${paint('dim', time)}  ${truncate(printable(full.length <= room ? full : told), room)}`;
}

/** What was for a vip and is lost, then what was not for one. */
function dropLine({ drops }: TopView, width: number, paint: Paint): string {
  const title = 'Dropped';
  const textOf = ({ reason, per_s, total }: TopDrop) =>
    `${printable(reason)} ${formatCount(total)}${per_s > 0 ? `, ${compact(per_s)}/s` : ''}`;
  const lost = drops.filter(({ is_lost }) => is_lost);
  const others = drops.filter(({ is_lost }) => !is_lost);
  const parts: [string, boolean][] = [
    ...(lost.length === 0 ? [['none of the packets for vips', false] as [string, boolean]] : []),
    ...lost.map((one): [string, boolean] => [textOf(one), one.per_s > 0]),
    ...others.map((one, i): [string, boolean] => [`${i === 0 ? 'others: ' : ''}${textOf(one)}`, false]),
  ];
  return `${paint('bold', title)}  ${fitting(parts, width - title.length - 2, paint)}`;
}
