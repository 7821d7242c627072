import CliTable3 from 'cli-table3';
import type { Table } from './content.ts';
import { printable } from './format.ts';

/** SGR codes that switch a style on and off again. */
const styles = {
  bold: [1, 22],
  dim: [2, 22],
  reverse: [7, 27],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;

export type Style = keyof typeof styles;
/** Puts a style around text, or leaves the text alone where colors are off. */
export type Paint = (style: Style, text: string) => string;

export const colorPaint: Paint = (style, text) =>
  `\u001b[${styles[style][0]}m${text}\u001b[${styles[style][1]}m`;
export const plainPaint: Paint = (_style, text) => text;

const columnGap = 2;

/** Text cut to at most `width` characters, the cut shown as an ellipsis. */
export function truncate(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
}

/**
 * The table's lines with light borders. Where it is wider than `width`, its columns go into several tables below
 * one another, each starting with the column that names the rows.
 */
export function tableLines(table: Table, width: number, paint: Paint): string[] {
  const nameWidth = Math.max(12, Math.floor(width / 3));
  const cells = [table.head, ...table.rows].map(([name, ...figures]) => [
    truncate(printable(name!), nameWidth),
    ...figures.map(printable),
  ]);
  return columnGroups(cells, width).flatMap((columns, group) => [
    ...(group > 0 ? [''] : []),
    ...draw(
      cells.map((row) => columns.map((column) => row[column]!)),
      paint,
    ),
  ]);
}

/** Columns of each table that fits: all of them, or column 0 with an even part of the others. */
function columnGroups(cells: string[][], width: number): number[][] {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => [...row[column]!].length)));
  const groups = fill(widths, width, widths.length);
  return groups.length === 1 ? groups : fill(widths, width, Math.ceil((widths.length - 1) / groups.length));
}

/** Fills tables one after the other with at most `columnsMax` columns beside column 0; each takes at least one. */
function fill(widths: number[], width: number, columnsMax: number): number[][] {
  const groups: number[][] = [[0]];
  let used = widths[0]!;
  for (let column = 1; column < widths.length; column++) {
    const needed = columnGap + widths[column]!;
    const group = groups.at(-1)!;
    if (group.length > 1 && (used + needed > width || group.length > columnsMax)) {
      groups.push([0, column]);
      used = widths[0]! + needed;
    } else {
      group.push(column);
      used += needed;
    }
  }
  return groups;
}

function draw(cells: string[][], paint: Paint): string[] {
  const [head, ...rows] = cells;
  const none = [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
  ];
  const table = new CliTable3({
    head: head!.map((title) => paint('bold', title)),
    chars: {
      ...Object.fromEntries([...none, 'left', 'left-mid', 'right', 'right-mid'].map((name) => [name, ''])),
      mid: '─',
      'mid-mid': '─'.repeat(columnGap),
      middle: ' '.repeat(columnGap),
    },
    colAligns: head!.map((_, column) => (column === 0 ? 'left' : 'right')),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
  });
  table.push(...rows);
  return table
    .toString()
    .split('\n')
    .map((line) => (line.startsWith('─') ? paint('dim', line) : line.trimEnd()));
}

/** Words of a text in lines of at most `width`, later lines indented; a longer word is not broken. */
export function wrapLines(text: string, width: number, indent: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent + word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
