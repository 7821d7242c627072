import type { TraceAnswer } from '../admin/answers.ts';
import { formatDuration } from '../units.ts';
import { formatCount, printable } from './format.ts';
import { colorPaint, plainPaint, wrapLines } from './terminal.ts';
import type { TextOptions } from './text.ts';

/** Where a client's packets go and why, for people in a terminal; without a line feed at the end. */
export function traceText(trace: TraceAnswer, { width, color }: TextOptions): string {
  const paint = color ? colorPaint : plainPaint;
  const { client, vip, backend, why } = trace;
  const way = `${printable(client)} to ${printable(vip)}`;
  const head = backend === null ? `${way} goes nowhere` : `${way} goes to ${printable(backend)}`;
  return [
    paint('bold', head),
    `  ${known(trace)}`,
    `  ${slot(trace)}`,
    ...why.flatMap((sentence) => wrapLines(printable(sentence), width - 2, '  ').map((line) => `  ${line}`)),
  ].join('\n');
}

const known = ({ flow }: TraceAnswer): string =>
  flow === null
    ? 'flow: none is known'
    : `flow: ${flow.state} at ${printable(flow.backend)}, idle for ${flow.idle_ms < 1 ? 'less than 1ms' : formatDuration(Math.round(flow.idle_ms) * 1e6)}`;

const slot = ({ slot, slot_backend }: TraceAnswer): string =>
  `slot: ${formatCount(slot)}, ${slot_backend === null ? 'which no backend has' : `of ${printable(slot_backend)}`}`;
