import type { ReplayResult } from '../datapath/replay/result.ts';
import {
  errorLegend,
  facts,
  fileLine,
  latencyTables,
  noPolicy,
  noSamples,
  policyLine,
  warnings,
} from './content.ts';
import { printable } from './format.ts';
import { shareChart } from './share-chart.ts';
import { colorPaint, type Paint, plainPaint, tableLines, truncate, wrapLines } from './terminal.ts';

export interface TextOptions {
  /** Columns of the terminal; the text is laid out for at least 40. */
  width: number;
  color: boolean;
}

/** What a replay found, for people in a terminal; without a line feed at the end. */
export function replayText(result: ReplayResult, options: TextOptions): string {
  const width = Math.max(40, options.width);
  const paint = options.color ? colorPaint : plainPaint;
  const blocks = [
    result.files.flatMap((file) => wrapLines(printable(fileLine(file)), width, '  ')),
    factLines(result, width, paint),
    ...latencyBlocks(result, width, paint),
    policyLines(result, width, paint),
    warningLines(result, width, paint),
  ];
  return blocks
    .filter((block) => block.length > 0)
    .map((block) => block.join('\n'))
    .join('\n\n');
}

function warningLines(result: ReplayResult, width: number, paint: Paint): string[] {
  const prefix = 'warning: ';
  return warnings(result).flatMap((text) =>
    wrapLines(printable(text), width - prefix.length, '').map((line, index) =>
      paint('yellow', (index === 0 ? prefix : ' '.repeat(prefix.length)) + line),
    ),
  );
}

function factLines(result: ReplayResult, width: number, paint: Paint): string[] {
  const rows = facts(result);
  const labelWidth = Math.max(...rows.map(([label]) => label.length)) + 2;
  return rows.flatMap(([label, value]) =>
    wrapLines(printable(value), width - labelWidth, '').map(
      (line, index) => (index === 0 ? paint('dim', label.padEnd(labelWidth)) : ' '.repeat(labelWidth)) + line,
    ),
  );
}

function latencyBlocks(result: ReplayResult, width: number, paint: Paint): string[][] {
  if (result.estimators.every((estimator) => estimator.samples === 0)) {
    return [wrapLines(noSamples, width, '')];
  }
  const tables = latencyTables(result).map((table) => [
    ...heading(printable(table.title), printable(table.note), width, paint),
    ...tableLines(table, width, paint),
  ]);
  if (!result.truth) return tables;
  return [...tables, wrapLines(errorLegend, width, '').map((line) => paint('dim', line))];
}

/** A title with a note beside it, or below where there is no room. */
function heading(title: string, note: string, width: number, paint: Paint): string[] {
  const shown = truncate(title, width);
  const gap = '  ';
  return shown.length + gap.length + note.length <= width
    ? [paint('bold', shown) + gap + paint('dim', note)]
    : [paint('bold', shown), ...wrapLines(note, width, '').map((line) => paint('dim', line))];
}

function policyLines(result: ReplayResult, width: number, paint: Paint): string[] {
  if (!result.policy) return wrapLines(noPolicy, width, '');
  return [
    ...wrapLines(printable(policyLine(result.policy)), width, ''),
    '',
    ...shareChart(result.policy, width, paint),
  ];
}
