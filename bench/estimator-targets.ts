import type { EvalCapture, EvalResult, EvalRow } from '../src/datapath/replay/eval/result.ts';
import { rounded, type Target } from './result.ts';
import type { TriggerLimit } from './trigger.ts';

/** A figure of a row, and the range that it must lie in. */
interface Bound {
  readonly what: string;
  readonly of: (row: EvalRow) => number | null;
  readonly least?: number;
  readonly most: number;
  /** What of the client's own time to send its next request may excuse more. */
  readonly limit?: 'p95Error' | 'windowP90';
}

const medianRatio: Bound = { what: 'median', of: (row) => row.median_ratio, least: 0.98, most: 1.02 };
/** Of a workload with a step, where medians over all of it tell of the mixture: the median of sample / truth. */
const medianOfRatios = ({ median_relative_error: error }: EvalRow) => (error === null ? null : 1 + error);
const meanRatio: Bound = { what: 'mean', of: (row) => row.mean_ratio, least: 0.98, most: 1.02 };
const p95 = (most: number): Bound => ({
  what: 'p95 error',
  of: (row) => row.p95_absolute_relative_error,
  most,
});
const windows = (most: number): Bound => ({ what: 'window p90', of: (row) => row.window_error_p90, most });

const closedLoop = [medianRatio, meanRatio, p95(0.05), windows(0.02)];
const pipelined = [{ ...medianRatio, least: 0.95, most: 1.05 }, windows(0.1)];

/** What was asked of `auto`, by capture. */
const asked: Readonly<Record<string, readonly Bound[]>> = {
  w01_cl1: closedLoop,
  w02_cl1exp: closedLoop,
  w08_bigresp: closedLoop,
  w09_bigreq: closedLoop,
  memtier_closed_loop: [
    { ...p95(0.2), limit: 'p95Error' },
    { ...windows(0.1), limit: 'windowP90' },
  ],
  memtier_reconnect_two_servers: [p95(0.08), windows(0.03)],
  'two-servers': [p95(0.08), windows(0.03)],
  w05_pipe8: pipelined,
  w06_batch8: pipelined,
  memtier_pipeline16: pipelined.map((bound) =>
    bound.what === 'median' ? { ...bound, of: medianOfRatios } : bound,
  ),
  bulk_upload_cubic: [windows(0.02)],
  udp_window4: [windows(0.3)],
};

/** Windows of 250 ms of these are to be within 10 % or 60 us of the truth. */
const thinking = ['w03_think5', 'w20_delack', 'memcached_think_time'];
const rightWindowsMin = 0.9;

/** Right or no sample: never a confident wrong one. */
const rightOrSilent = ['w19_nagle', 'w10_upcubic'];
const rightWithin = 0.2;

const matchedMin = 0.97;
const turnsMin = 20;
const nsPerPacketMax = 40;

/**
 * Every figure that was asked for next to the one measured, as far as the captures are there.
 * @param limits by capture, what the client's own time to send its next request makes of errors
 */
export function estimatorTargets(
  result: EvalResult,
  windowsOf250: EvalResult,
  limits: ReadonlyMap<string, TriggerLimit>,
): Target[] {
  const rowsOf = ({ captures }: EvalResult) =>
    captures.map((capture) => ({ capture, row: autoRow(capture) }));
  return [
    ...rowsOf(result).flatMap(({ capture, row }) =>
      (asked[capture.name] ?? []).map((bound) =>
        boundTarget(capture.name, row, bound, limits.get(capture.name)),
      ),
    ),
    ...rowsOf(windowsOf250)
      .filter(({ capture }) => thinking.includes(capture.name))
      .map(({ capture, row }) => thinkingTarget(capture.name, row)),
    ...result.captures.flatMap(stepTargets),
    ...result.captures.filter(({ name }) => rightOrSilent.includes(name)).map(silentTarget),
    ...result.captures.flatMap(pirateTargets),
    ...result.captures.filter(({ exchanges }) => exchanges).flatMap(turnTargets),
    ...costTargets(result),
  ];
}

const autoRow = ({ rows }: EvalCapture) => rows.find(({ estimator }) => estimator === 'auto');
const shown = (value: number | null | undefined) => (value == null ? 'nothing' : String(rounded(value)));

function boundTarget(
  capture: string,
  row: EvalRow | undefined,
  { what, of, least, most, limit }: Bound,
  limits: TriggerLimit | undefined,
): Target {
  const value = row ? of(row) : null;
  const client = limits && limit ? limits[limit] : 0;
  return {
    what: `${capture}: ${what}`,
    asked:
      least !== undefined
        ? `${least} to ${most}`
        : `at most ${most}${client > most ? `; by the client's own time ${rounded(client)}` : ''}`,
    measured: shown(value),
    met:
      value !== null &&
      value <= Math.max(most, client * clientMargin) &&
      value >= (least ?? Number.NEGATIVE_INFINITY),
  };
}

/** The client's own time is measured at the client, the samples at the load balancer: they differ by this part. */
const clientMargin = 1.02;

function thinkingTarget(capture: string, row: EvalRow | undefined): Target {
  const right = row?.windows_right ?? null;
  return {
    what: `${capture}: windows of 250 ms within 10 % or 60 us`,
    asked: `at least ${rightWindowsMin * 100} %`,
    measured: right === null ? 'nothing' : `${rounded(right * 100)} % of ${row!.windows}`,
    met: right !== null && right >= rightWindowsMin,
  };
}

function stepTargets({ name, steps }: EvalCapture): Target[] {
  const row = steps[0]?.rows.find(({ estimator }) => estimator === 'auto');
  const size = row?.before_ns == null || row.after_ns === null ? null : row.after_ns - row.before_ns;
  if (name === 'w13_wanstep') {
    return [
      {
        what: `${name}: step of +5 ms seen as`,
        asked: '4.8 to 5.2 ms',
        measured: size === null ? 'nothing' : `${rounded(size / 1e6)} ms`,
        met: size !== null && size >= 4.8e6 && size <= 5.2e6,
      },
    ];
  }
  if (name !== 'w15_lanstep') return [];
  const seen = row?.seen_after_windows ?? null;
  return [
    {
      what: `${name}: step of +1 ms`,
      asked: '0.9 to 1.1 ms, within 2 windows',
      measured: size === null ? 'nothing' : `${rounded(size / 1e6)} ms, in window ${seen ?? '-'}`,
      met: size !== null && size >= 0.9e6 && size <= 1.1e6 && seen !== null && seen <= 2,
    },
  ];
}

/** Samples of responses; handshakes are right in any case. */
function silentTarget({ name, rows, packets }: EvalCapture): Target {
  const kinds = rows.filter(
    ({ estimator, kind }) => estimator === 'auto' && kind !== null && kind !== 'handshake',
  );
  const given = kinds.filter(({ samples }) => samples > 0);
  const samples = given.reduce((sum, row) => sum + row.samples, 0);
  return {
    what: `${name}: right, or no sample`,
    asked: `window p90 at most ${rightWithin}, if any`,
    measured:
      samples === 0
        ? `no samples in ${packets.client} packets`
        : given
            .map(({ kind, samples, window_error_p90 }) => `${samples} ${kind}, ${shown(window_error_p90)}`)
            .join('; '),
    met:
      kinds.length > 0 &&
      given.every(({ window_error_p90: error }) => error !== null && error <= rightWithin),
  };
}

/** A tenth of a percent between two that are right is no difference. */
const tie = 0.001;

/** Where both have windows, those of `auto` must be nearer to the truth. */
function pirateTargets({ name, rows, exchanges }: EvalCapture): Target[] {
  const auto = rows.find(({ estimator }) => estimator === 'auto')?.window_error_p90 ?? null;
  const pirate = rows.find(({ estimator }) => estimator === 'pirate')?.window_error_p90 ?? null;
  if (exchanges || auto === null || pirate === null) return [];
  return [
    {
      what: `${name}: window p90 against pirate`,
      asked: `at most ${rounded(pirate)}`,
      measured: String(rounded(auto)),
      met: auto <= pirate + tie,
    },
  ];
}

function turnTargets(capture: EvalCapture): Target[] {
  const told = autoRow(capture)?.exchanges_told ?? null;
  if (capture.exchanges!.countable < turnsMin) return [];
  return [
    {
      what: `${capture.name}: countable turns told of`,
      asked: `at least ${matchedMin * 100} %`,
      measured: told === null ? 'nothing' : `${rounded(told * 100)} % of ${capture.exchanges!.countable}`,
      met: told !== null && told >= matchedMin,
    },
  ];
}

function costTargets({ estimators }: EvalResult): Target[] {
  const auto = estimators.find(({ estimator }) => estimator === 'auto');
  if (!auto) return [];
  const cost = auto.ns_per_packet ?? Number.NaN;
  return [
    {
      what: 'auto on top of forwarding, hot',
      asked: `at most ${nsPerPacketMax} ns per packet`,
      measured: `${rounded(cost)} ns`,
      met: cost <= nsPerPacketMax,
    },
  ];
}
