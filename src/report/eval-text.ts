import type { EvalCapture, EvalResult } from '../datapath/replay/eval/result.ts';
import {
  accuracyTable,
  captureLine,
  costTable,
  evalLegend,
  overviewTable,
  silentLine,
  stepTable,
  turnsLegend,
} from './eval-content.ts';
import { printable } from './format.ts';
import { colorPaint, type Paint, plainPaint, tableLines, truncate, wrapLines } from './terminal.ts';
import type { TextOptions } from './text.ts';

/** What an evaluation found, for people in a terminal; without a line feed at the end. */
export function evalText(result: EvalResult, options: TextOptions): string {
  const width = Math.max(40, options.width);
  const paint = options.color ? colorPaint : plainPaint;
  const overview = overviewTable(result);
  const cost = costTable(result);
  const dim = (text: string) => wrapLines(text, width, '').map((line) => paint('dim', line));
  const blocks = [
    ...result.captures.flatMap((capture) => captureBlocks(capture, width, paint)),
    ...(result.captures.length > 1
      ? [[paint('bold', overview.title), ...tableLines(overview, width, paint)]]
      : []),
    [paint('bold', cost.title), ...dim(cost.note), ...tableLines(cost, width, paint)],
    dim(evalLegend(result)),
    result.captures.some(({ exchanges }) => exchanges) ? dim(turnsLegend) : [],
    warningLines(result, width, paint),
  ];
  return blocks
    .filter((block) => block.length > 0)
    .map((block) => block.join('\n'))
    .join('\n\n');
}

function captureBlocks(capture: EvalCapture, width: number, paint: Paint): string[][] {
  const table = accuracyTable(capture, '');
  const silent = silentLine(capture);
  return [
    [
      paint('bold', truncate(printable(capture.name), width)),
      ...wrapLines(printable(captureLine(capture)), width, '').map((line) => paint('dim', line)),
      ...(table.rows.length === 0 ? [] : tableLines(table, width, paint)),
      ...(silent === '' ? [] : wrapLines(silent, width, '').map((line) => paint('dim', line))),
    ],
    ...capture.steps.map((step) => {
      const table = stepTable(step);
      return [
        paint('bold', truncate(printable(table.title), width)),
        ...wrapLines(table.note, width, '').map((line) => paint('dim', line)),
        ...tableLines(table, width, paint),
      ];
    }),
  ];
}

function warningLines({ warnings, skipped }: EvalResult, width: number, paint: Paint): string[] {
  const hints = [...new Set(skipped.flatMap(({ hint }) => hint ?? []))];
  const lines = [
    ...warnings.map((text) => ['warning: ', text] as const),
    ...hints.map((text) => ['hint: ', text] as const),
  ];
  return lines.flatMap(([prefix, text]) =>
    wrapLines(printable(text), width - prefix.length, '').map((line, index) =>
      paint('yellow', (index === 0 ? prefix : ' '.repeat(prefix.length)) + line),
    ),
  );
}
