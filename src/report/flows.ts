import type { FlowsAnswer } from '../admin/answers.ts';
import { formatDuration } from '../units.ts';
import { formatCount } from './format.ts';
import { colorPaint, plainPaint, tableLines } from './terminal.ts';
import type { TextOptions } from './text.ts';

/** Flows and how many there are, for people in a terminal; without a line feed at the end. */
export function flowsText(
  { flows, matched, scanned, truncated }: FlowsAnswer,
  { width, color }: TextOptions,
): string {
  const table = {
    title: '',
    note: '',
    head: ['client', 'vip', 'backend', 'state', 'idle'],
    rows: flows.map(({ client, vip, backend, state, idle_ms }) => [
      client,
      vip,
      backend,
      state,
      idle_ms < 1 ? '<1ms' : formatDuration(Math.round(idle_ms) * 1e6),
    ]),
  };
  const found = `${formatCount(matched)} of ${formatCount(scanned)} flows${truncated ? `, ${formatCount(flows.length)} shown; --limit shows more` : ''}`;
  return [
    ...(flows.length > 0 ? [...tableLines(table, width, color ? colorPaint : plainPaint), ''] : []),
    found,
  ].join('\n');
}
