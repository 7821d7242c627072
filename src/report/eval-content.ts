import type { EvalCapture, EvalResult, EvalRow, EvalStep } from '../datapath/replay/eval/result.ts';
import { formatDuration } from '../units.ts';
import { plural, type Table } from './content.ts';
import { formatCount, formatPercent, formatSignedPercent } from './format.ts';

/** What the columns mean, for a legend under the tables. */
export const evalLegend = ({ window_ms }: EvalResult): string =>
  'median, mean: of all samples, to those of all truths. err: (sample - truth) / truth of each sample; in 20%: samples so near. ' +
  `windows: of ${formatDuration(window_ms * 1e6)} of one backend, with samples, of those with truth; window p50, p90: how far the ` +
  'median estimate of a window is from its median truth. server: only means tell something, so windows compare means and ' +
  'single samples are not compared. A row of several kinds is what a controller would use: in each window the samples of ' +
  'the kind that it prefers.';

/** The same for captures whose truth is that of both directions. */
export const turnsLegend =
  'turns: part of the countable turns (request sent once, response acknowledged) with a sample; told: with a sample, or ' +
  'counted as answered where a sample would be wrong. err: sample - truth, the time that the client takes to send the ' +
  'packet that tells of a response.';

type Column = [title: string, value: (row: EvalRow) => string];

const duration = (value: number | null | undefined): string =>
  value == null ? '-' : formatDuration(Number(value.toPrecision(3)));

/** A ratio to the truth: `1.00x`. */
function times(value: number | null): string {
  if (value === null) return '-';
  return `${Math.abs(value) < 10 ? value.toFixed(2) : formatCount(value)}x`;
}

const samplesColumns: readonly Column[] = [
  ['samples', ({ samples }) => formatCount(samples)],
  ['per s', ({ samples_per_s }) => formatCount(samples_per_s)],
];

const ratioColumns: readonly Column[] = [
  ['median', ({ median_ratio }) => times(median_ratio)],
  ['mean', ({ mean_ratio }) => times(mean_ratio)],
  ['median err', ({ median_relative_error }) => formatSignedPercent(median_relative_error)],
  ['in 20%', ({ within_20_percent }) => formatPercent(within_20_percent)],
  ['p95 err', ({ p95_absolute_relative_error }) => formatPercent(p95_absolute_relative_error)],
];

const windowColumns: readonly Column[] = [
  ['window p50', ({ window_error_p50 }) => formatPercent(window_error_p50)],
  ['p90', ({ window_error_p90 }) => formatPercent(window_error_p90)],
  ['windows', ({ windows, truth_windows }) => `${windows}/${truth_windows}`],
];

const accuracyColumns = [...samplesColumns, ...ratioColumns, ...windowColumns];
/** What matters most comes first, where a screen may be narrow. */
const overviewColumns = [...windowColumns, ...ratioColumns, ...samplesColumns];

const turnColumns: readonly Column[] = [
  ['samples', ({ samples }) => formatCount(samples)],
  ['turns', ({ exchanges_matched }) => formatPercent(exchanges_matched)],
  ['told', ({ exchanges_told }) => formatPercent(exchanges_told)],
  ['err p25', ({ error_ns }) => duration(error_ns.p25)],
  ['p50', ({ error_ns }) => duration(error_ns.p50)],
  ['p75', ({ error_ns }) => duration(error_ns.p75)],
  ['p90', ({ error_ns }) => duration(error_ns.p90)],
  ['median', ({ median_relative_error: error }) => times(error === null ? null : 1 + error)],
  ['mean', ({ mean_ratio }) => times(mean_ratio)],
  ['window p90', ({ window_error_p90 }) => formatPercent(window_error_p90)],
];

/** How a row is called: an estimator, or one kind of those that it has. */
export function rowName(estimator: string, kind: string | null): string {
  return kind === null || kind === estimator ? estimator : `${estimator}:${kind}`;
}

/** Whether a row stands for all that an estimator gives, rather than for one of its kinds. */
export function isWhole(rows: readonly EvalRow[], { estimator, kind }: EvalRow): boolean {
  return kind === null || !rows.some((row) => row.estimator === estimator && row.kind === null);
}

/** One row per estimator and kind that has samples. */
export function accuracyTable({ name, rows, exchanges }: EvalCapture, note: string): Table {
  const columns = exchanges ? turnColumns : accuracyColumns;
  return {
    title: name,
    note,
    head: ['estimator', ...columns.map(([title]) => title)],
    rows: rows
      .filter(({ samples }) => samples > 0)
      .map((row) => [rowName(row.estimator, row.kind), ...columns.map(([, value]) => value(row))]),
  };
}

/** Estimators without a sample in a capture, in a sentence; empty if each had some. */
export function silentLine({ rows }: EvalCapture): string {
  const silent = rows.filter((row) => row.samples === 0 && isWhole(rows, row));
  return silent.length === 0 ? '' : `No samples: ${silent.map(({ estimator }) => estimator).join(', ')}.`;
}

/** What was measured and what it is compared with, in a few words. */
export function captureLine({ packets, flows, backends, span_s, truth, exchanges }: EvalCapture): string {
  const compared =
    truth.responses === 0
      ? `no true responses, ${plural(truth.handshakes, 'handshake')}`
      : `truth of ${plural(truth.responses, 'response')}, p50 ${duration(truth.p50_ns)}, mean ${duration(truth.mean_ns)}`;
  const turns = exchanges
    ? `, ${plural(exchanges.turns, 'turn')} of which ${formatCount(exchanges.countable)} countable`
    : '';
  return `${plural(packets.client, 'packet')} of ${plural(flows, 'flow')} to ${plural(backends.length, 'backend')} in ${duration(span_s * 1e9)}; ${compared}${turns}`;
}

/** What every estimator that says something made of a step. */
export function stepTable(step: EvalStep): Table {
  const change = (before: number | null, after: number | null) =>
    before === null || after === null ? '-' : signed(after - before);
  const truth = medianTruth(step);
  const kindsOf = (estimator: string) => step.rows.filter((row) => row.estimator === estimator).length;
  // Kinds with samples on one side only say nothing; of a whole estimator that does.
  const shown = step.rows.filter(
    ({ estimator, kind, before_ns, after_ns }) =>
      kind !== 'handshake' &&
      (kind === null || kindsOf(estimator) === 1 || (before_ns !== null && after_ns !== null)),
  );
  return {
    title: `Step of ${step.backend} at ${duration(step.at_s * 1e9)}`,
    note: truth
      ? `true median ${duration(truth.truth_before_ns)} before, ${duration(truth.truth_after_ns)} after`
      : '',
    head: ['estimator', 'before', 'after', 'step', 'true step', 'seen in window'],
    rows: shown.map((row) => [
      rowName(row.estimator, row.kind),
      duration(row.before_ns),
      duration(row.after_ns),
      change(row.before_ns, row.after_ns),
      change(row.truth_before_ns, row.truth_after_ns),
      row.seen_after_windows === null ? '-' : String(row.seen_after_windows),
    ]),
  };
}

/** A row that is compared with the median of the truth; any other where all compare means. */
function medianTruth({ rows }: EvalStep) {
  return rows.find(({ kind }) => kind !== 'server') ?? rows[0];
}

function signed(value: number): string {
  return `${value > 0 ? '+' : ''}${duration(value)}`;
}

/** What each estimator costs. */
export function costTable({ estimators }: EvalResult): Table {
  return {
    title: 'Cost',
    note: 'time per packet on top of forwarding, state per flow beside the flow table',
    head: ['estimator', 'ns per packet', 'bytes per flow'],
    rows: estimators.map(({ estimator, ns_per_packet, bytes_per_flow }) => [
      estimator,
      ns_per_packet === null ? '-' : ns_per_packet.toFixed(1),
      formatCount(bytes_per_flow),
    ]),
  };
}

/** The estimator to show first: `auto` if it was evaluated, else the first one that estimates responses. */
export function foremost({ estimators }: EvalResult): string {
  const names = estimators.map(({ estimator }) => estimator);
  return names.find((name) => name === 'auto') ?? names.find((name) => name !== 'handshake') ?? names[0]!;
}

/** One estimator over all captures. */
export function overviewTable(result: EvalResult): Table {
  const { captures } = result;
  const estimator = foremost(result);
  const rows = captures.map(({ name, rows }) => {
    const row = rows.find((one) => one.estimator === estimator && isWhole(rows, one))!;
    return [name, ...overviewColumns.map(([, value]) => value(row))];
  });
  return {
    title: `${estimator} over all captures`,
    note: '',
    head: ['capture', ...overviewColumns.map(([title]) => title)],
    rows,
  };
}
