import type { EstimatorSummary, PolicySummary, ReplayResult } from '../datapath/replay/result.ts';
import { formatDuration } from '../units.ts';
import { formatBytes, formatCount, formatPercent, formatSignedPercent } from './format.ts';

/** A table as every output draws it: the first column names the row, the others are figures and align right. */
export interface Table {
  title: string;
  /** What the rows are about, in a few words; empty when the title says it all. */
  note: string;
  head: string[];
  rows: string[][];
}

/** A fact about the run: what it is, and its value. */
export type Fact = [label: string, value: string];

type Column = [title: string, value: (row: EstimatorSummary) => string];

const duration = (value: number | null): string => (value === null ? '-' : formatDuration(value));

const latencyColumns: readonly Column[] = [
  ['estimator', (row) => row.estimator],
  ['samples', (row) => formatCount(row.samples)],
  ['p50', (row) => duration(row.p50_ns)],
  ['p90', (row) => duration(row.p90_ns)],
  ['p99', (row) => duration(row.p99_ns)],
  ['mean', (row) => duration(row.mean_ns)],
];

const errorColumns: readonly Column[] = [
  ['median err', (row) => formatSignedPercent(row.error?.median_relative_error)],
  ['p95 |err|', (row) => formatPercent(row.error?.p95_absolute_relative_error)],
  ['within 20%', (row) => formatPercent(row.error?.within_20_percent)],
  ['window p90', (row) => formatPercent(row.error?.window_error_p90)],
];

/** What the columns of error mean, for a legend under the tables. */
export const errorLegend =
  'err: (estimate - truth) / truth of each sample. window p90: per backend and 100 ms window, how far the median ' +
  'estimate is from the median truth; 90 % of the windows are at most this far off.';

/** Stands where the latencies would be. */
export const noSamples = 'No latency samples: no estimator saw a response in these packets.';
/** Stands where the shares would be. */
export const noPolicy = 'No policy: there are fewer than two backends to shift flows between.';

/** Whether a row says something: of an estimator with several kinds those without samples do not. */
export const isShown = ({ estimator, samples }: EstimatorSummary): boolean =>
  samples > 0 || !estimator.startsWith('auto:');

/** One row per estimator; columns of error only with a truth. */
function estimatorTable(title: string, note: string, rows: EstimatorSummary[], withTruth: boolean): Table {
  const columns = withTruth ? [...latencyColumns, ...errorColumns] : latencyColumns;
  return {
    title,
    note,
    head: columns.map(([name]) => name),
    rows: rows.filter(isShown).map((row) => columns.map(([, value]) => value(row))),
  };
}

/** Backends with a table of their own: more would bury the summary. All of them are in the JSON output. */
const backendTablesMax = 32;

/** A table per backend, the busiest when there are many, and one over all of them when there are several. */
export function latencyTables(result: ReplayResult): Table[] {
  const withTruth = result.truth !== undefined;
  const { backends } = result;
  const busiest = [...backends].sort((a, b) => b.packets - a.packets).slice(0, backendTablesMax);
  const tables = backends
    .filter((backend) => busiest.includes(backend))
    .map((backend) =>
      estimatorTable(
        `Backend ${backend.backend}`,
        `${plural(backend.flows, 'flow')}, ${plural(backend.packets, 'packet')}`,
        backend.estimators,
        withTruth,
      ),
    );
  if (backends.length < 2) return tables;
  const note =
    backends.length > backendTablesMax
      ? `${formatCount(backends.length)} backends, of which the ${backendTablesMax} busiest are above`
      : `${formatCount(backends.length)} backends`;
  return [...tables, estimatorTable('All backends', note, result.estimators, withTruth)];
}

/** How flows came to their backends, after their number. */
const assignment: Record<ReplayResult['assign'], string> = {
  vip: 'each vip taken as its own backend',
  table: 'assigned to backends by the table',
  'dst-mac': 'assigned to backends by destination MAC address',
  'flows.csv': 'assigned to backends by the file given',
};

/** What was read and what became of it, in the order of the packet's way: files, packets, flows, truth. */
export function facts(result: ReplayResult): Fact[] {
  const { packets, flows } = result;
  const rows: Fact[] = [
    [
      'packets read',
      `${formatCount(packets.read)} in ${formatDuration(result.span_s * 1e9)} of capture time`,
    ],
    ['client->server', `${formatCount(packets.client)}: what the load balancer would have forwarded`],
    ['server->client', formatCount(packets.server)],
    ['skipped', reasons(packets.skipped)],
    ['flows', `${formatCount(flows.created)}, ${assignment[result.assign]}`],
    [
      'flow table',
      `${formatCount(flows.active)} of ${formatCount(flows.capacity)} lines in use at the end, ${formatCount(flows.bytes_per_flow)} B each`,
    ],
    ['flows ended', reasons(flows.ended)],
  ];
  if (flows.untracked_packets > 0) {
    rows.push(['untracked', `${plural(flows.untracked_packets, 'packet')} found the flow table full`]);
  }
  for (const vip of result.vips) {
    rows.push(['vip', `${vip.vip}: ${plural(vip.flows, 'flow')}, ${plural(vip.packets, 'packet')}`]);
  }
  if (total(result.samples_dropped) > 0) rows.push(['samples dropped', reasons(result.samples_dropped)]);
  if (result.truth) {
    rows.push(['truth', `${plural(result.truth.records, 'record')} from ${result.truth.source}`]);
  }
  return rows;
}

/** One line on a file: its name and how much was in it. */
export function fileLine(file: ReplayResult['files'][number]): string {
  return `${file.name}: ${plural(file.packets, 'packet')}, ${formatBytes(file.bytes)}`;
}

/** Everything that the reader should know before trusting the figures, each once. */
export function warnings(result: ReplayResult): string[] {
  return [...new Set([...result.files.flatMap(({ problems }) => problems), ...result.warnings])];
}

/** What the policy was and did, in a sentence. */
export function policyLine(policy: PolicySummary): string {
  const change =
    policy.changes === 0 ? 'never changed the shares' : `changed the shares ${times(policy.changes)}`;
  return `Policy '${policy.name}' (alpha ${formatPercent(policy.alpha)}), fed by ${policy.estimator}, would have ${change}.`;
}

const times = (value: number): string => (value === 1 ? 'once' : `${formatCount(value)} times`);

export function plural(value: number, noun: string): string {
  return `${formatCount(value)} ${noun}${value === 1 ? '' : 's'}`;
}

const total = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((sum, value) => sum + value, 0);

/** `12: not_ip 10, arp 2`, the most frequent first; `0` when nothing occurred. */
function reasons(counts: Record<string, number>): string {
  const named = Object.entries(counts)
    .filter(([, value]) => value > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, value]) => `${reason} ${formatCount(value)}`);
  return named.length === 0 ? '0' : `${formatCount(total(counts))}: ${named.join(', ')}`;
}
