/** One line of a table: values by column. */
export type Row = Record<string, number | string>;

/** A figure that was asked for, next to the one measured. */
export interface Target {
  readonly what: string;
  readonly asked: string;
  readonly measured: string;
  readonly met: boolean;
}

/** What the `run` of each bench returns; rows with the same columns make one table. */
export interface BenchResult {
  readonly name: string;
  readonly rows: readonly Row[];
  readonly targets?: readonly Target[];
  readonly notes: readonly string[];
}

/** A value with this many significant digits. */
export function rounded(value: number, digits = 3): number {
  return Number(value.toPrecision(digits));
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
