import type { BackendAnswer, BackendsAnswer, HealthAnswer } from '../admin/answers.ts';
import { formatDuration } from '../units.ts';
import type { Table } from './content.ts';
import { formatCount, formatPercent, printable } from './format.ts';
import { colorPaint, type Paint, plainPaint, tableLines } from './terminal.ts';
import type { TextOptions } from './text.ts';

/**
 * The backends of each vip and what keeps one from being used, for people in a terminal; without a line feed at the end.
 * @param nowMs the time of day that ages are reckoned to
 */
export function backendsText(
  { backends }: BackendsAnswer,
  { width, color }: TextOptions,
  nowMs = Date.now(),
): string {
  const paint = color ? colorPaint : plainPaint;
  const vips = [...new Set(backends.map(({ vip }) => vip))];
  const blocks = vips.map((vip) => {
    const own = backends.filter((one) => one.vip === vip);
    const kind = own.find(({ latency }) => latency !== null)?.latency?.kind;
    return [
      paint('bold', printable(vip)) + (kind === undefined ? '' : `  latencies: ${printable(kind)}`),
      ...tableLines(backendTable(own, nowMs), width, paint),
      ...own.flatMap((one) => problemLines(one, paint)),
    ].join('\n');
  });
  return blocks.join('\n\n') || 'no backends';
}

const backendTable = (backends: readonly BackendAnswer[], nowMs: number): Table => ({
  title: '',
  note: '',
  head: ['backend', 'state', 'health', 'since', 'weight', 'share', 'slots', 'flows', 'p50', 'p99'],
  rows: backends.map(({ backend, state, health, latency, ...one }) => [
    backend,
    state,
    healthWord(health),
    formatAge(nowMs - Date.parse(health.since)),
    one.weight === one.weight_configured ? `${one.weight}` : `${one.weight} (${one.weight_configured})`,
    formatPercent(one.share),
    formatCount(one.slots),
    formatCount(one.flows_held),
    latency ? formatDuration(latency.p50_ns) : '-',
    latency ? formatDuration(latency.p99_ns) : '-',
  ]),
});

/** In one word, what matters most: a backend that is up may be ejected for what its clients' packets tell. */
export const healthWord = ({
  state,
  ejected,
}: Pick<HealthAnswer, 'state' | 'ejected'>): HealthAnswer['state'] | 'ejected' =>
  ejected && state !== 'down' ? 'ejected' : state;

function problemLines({ backend, health, obstacle }: BackendAnswer, paint: Paint): string[] {
  const { state, reason, ejected } = health;
  const problems = [
    ...(obstacle === null ? [] : [obstacle]),
    ...(reason !== '' && (state === 'down' || state === 'starting') ? [`${state}: ${reason}`] : []),
    ...(ejected ? [`ejected until ${clock(ejected.until)}: ${ejected.reason}${again(ejected.times)}`] : []),
  ];
  return problems.map((problem) => paint('yellow', `${printable(backend)}: ${printable(problem)}`));
}

const again = (times: number): string => (times > 1 ? ` (${times} times in a row)` : '');

/** The time of day of a moment in UTC. */
const clock = (iso: string): string => `${iso.slice(11, 19)} UTC`;

/** An age in ms for people, in one unit: `4s`, `12m`, `3h`, `9d`; `-` when unknown. */
export function formatAge(ms: number): string {
  if (!Number.isFinite(ms)) return '-';
  const seconds = Math.max(0, Math.floor(ms / 1e3));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
