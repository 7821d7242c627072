import { InbandError } from '../../../errors.ts';
import { createEstimators } from '../../../latency/registry.ts';
import { truthKindOf } from '../truth.ts';
import { type CaptureFiles, findCaptures } from './captures.ts';
import { measureCost } from './cost.ts';
import { Evaluation } from './evaluation.ts';
import type { EvalOptions } from './options.ts';
import { PacketLog } from './packet-log.ts';
import type { EvalCapture, EvalEstimator, EvalResult, EvalSkipped, EvalTimeline } from './result.ts';
import { comparedMax, mean, median } from './samples.ts';
import { type Candidate, chosenOf, scoreOf } from './scores.ts';
import { evidentSteps, listedSteps, stepRow } from './steps.ts';
import { timelineOf } from './timeline.ts';

/** Packets to measure the cost of estimators with, over all captures. */
const costPackets = 60_000;

/** How the cost of an estimator is found; `none` leaves it out. */
export type CostMethod = 'threads' | 'none';

/**
 * Runs estimators over captures whose true latencies are known, and tells how accurate they are and what they cost.
 * What is wrong with one capture does not keep the others from being evaluated.
 * @throws InbandError for options and paths that cannot be used, and if no capture could be evaluated
 */
export async function evaluate(
  options: EvalOptions,
  cost: CostMethod = 'threads',
): Promise<{ result: EvalResult; timelines: EvalTimeline[] }> {
  const size = { flows: 1, backends: 1 };
  const estimators = createEstimators(options.estimators, options, size);
  const { captures, orphans } = await findCaptures(options.paths);
  const skipped: EvalSkipped[] = orphans.map((path) => ({
    path,
    reason: 'a truth without its capture',
    hint: 'NAME.truth.csv belongs to NAME.pcap, truth.csv to lb.pcap in the same folder',
  }));
  const found: EvalCapture[] = [];
  const timelines: EvalTimeline[] = [];
  const logs: PacketLog[] = [];
  const logged = Math.ceil(costPackets / Math.max(1, captures.length));
  for (const files of captures) {
    const log = cost === 'none' ? undefined : new PacketLog(logged);
    const outcome = await evaluateCapture(files, options, log);
    if ('reason' in outcome) {
      skipped.push(outcome);
      continue;
    }
    found.push(outcome.capture);
    timelines.push(outcome.timeline);
    if (log) logs.push(log);
  }
  if (found.length === 0) throw nothing(skipped, options);
  const { timeoutsNs, epochNs } = options;
  const settings = { timeoutsNs, epochNs };
  const costs: EvalEstimator[] = [];
  for (const { name, kinds, bytesPerFlow } of estimators) {
    const ns = logs.length > 0 ? await measureCost({ estimator: name, settings, captures: logs }) : null;
    costs.push({ estimator: name, kinds: [...kinds], bytes_per_flow: bytesPerFlow, ns_per_packet: ns });
  }
  const warnings = found.flatMap(({ name, warnings }) => warnings.map((text) => `${name}: ${text}`));
  return {
    result: {
      schema: 'inband.eval/1',
      window_ms: options.windowNs / 1e6,
      estimators: costs,
      captures: found,
      skipped,
      warnings: [...warnings, ...skipped.map(({ path, reason }) => `${path}: ${reason}`)],
    },
    timelines,
  };
}

/** Where nothing could be evaluated, the first reason is as good as any. */
function nothing(skipped: readonly EvalSkipped[], { useServer }: EvalOptions): InbandError {
  const [first] = skipped;
  const more = skipped.length > 1 ? ` (and ${skipped.length - 1} more that could not be evaluated)` : '';
  return new InbandError('FILE_UNREADABLE', `${first!.path}: ${first!.reason}${more}`, {
    hint:
      first!.hint ??
      (useServer
        ? 'the truth is a CSV file beside the capture, or in server->client packets with data'
        : 'put NAME.truth.csv beside NAME.pcap, or take the truth from both directions with --use-server'),
  });
}

async function evaluateCapture(
  files: CaptureFiles,
  options: EvalOptions,
  log: PacketLog | undefined,
): Promise<{ capture: EvalCapture; timeline: EvalTimeline } | EvalSkipped> {
  const { path } = files;
  if (files.truth === undefined && !options.useServer) {
    return {
      path,
      reason: 'no truth beside it',
      hint: 'put NAME.truth.csv beside NAME.pcap, or take the truth from both directions with --use-server',
    };
  }
  try {
    const run = new Evaluation(files, options, log);
    await run.run();
    const reason = unusable(run);
    return reason === undefined ? summarise(run, options) : { path, reason };
  } catch (error) {
    if (!(error instanceof InbandError)) throw error;
    return { path, reason: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  }
}

/** Why a capture cannot be evaluated; undefined if it can be. */
function unusable({ tally, truth, files }: Evaluation): string | undefined {
  if (tally.client === 0) return 'no client->server packet of a vip';
  if (files.truth === undefined && tally.server === 0)
    return 'no server->client packet to take the truth from';
  if (truth.response.total + truth.handshake.total > 0) return undefined;
  // Uploads have no requests: what estimators make of them can be seen without a truth.
  return files.truth === undefined ? 'no exchange to take the truth from' : undefined;
}

/** Rows of results: per estimator what a controller would use, and every kind of those with several. */
function candidatesOf(run: Evaluation, windowNs: number): Candidate[] {
  return run.lanes.flatMap(({ estimator: { name: estimator }, samples }): Candidate[] => {
    const kinds = samples.map((one) => ({ estimator, kind: one.kind, parts: [one] }));
    if (kinds.length === 1) return kinds;
    const parts = chosenOf(samples, run.backends.names.length, windowNs);
    return [{ estimator, kind: null, parts }, ...kinds];
  });
}

function summarise(
  run: Evaluation,
  { windowNs, flows }: EvalOptions,
): { capture: EvalCapture; timeline: EvalTimeline } {
  const { tally, truth, exchanges, files } = run;
  const backends = run.backends.names;
  const spanS = (tally.lastNs - tally.firstNs) / 1e9;
  const candidates = candidatesOf(run, windowNs);
  const truthOf = (kind: string) => truth[truthKindOf(kind)];
  const steps =
    run.switches.length > 0 ? listedSteps(run.switches, backends) : evidentSteps(truth.response, windowNs);
  const capture: EvalCapture = {
    name: files.name,
    span_s: spanS,
    packets: { read: run.packets, client: tally.client, server: tally.server },
    flows: run.flows,
    backends,
    truth: {
      source: run.source,
      responses: truth.response.total,
      handshakes: truth.handshake.total,
      p50_ns: median(truth.response.latencyNs),
      mean_ns: mean(truth.response.latencyNs),
    },
    rows: candidates.map((candidate) => ({
      ...scoreOf(candidate, truthOf, windowNs, spanS),
      ...(exchanges && matchedOf(run, candidate)),
    })),
    ...(exchanges && { exchanges: { turns: exchanges.turns, countable: exchanges.countable } }),
    steps: steps.map((step) => ({
      backend: backends[step.backend]!,
      at_s: (step.fromNs - tally.firstNs) / 1e9,
      source: step.source,
      rows: candidates
        .filter(({ parts }) => parts.some(({ total }) => total > 0))
        .map((candidate) => stepRow(step, truth.response, candidate, windowNs)),
    })),
    warnings: warningsOf(run, flows),
  };
  return { capture, timeline: timelineOf(run, candidates, steps, windowNs) };
}

/** Countable turns that an estimator told of, with samples of this kind or of any. */
function matchedOf({ exchanges, lanes }: Evaluation, { estimator, kind }: Candidate) {
  const part = (turns: number) => (exchanges!.countable === 0 ? null : turns / exchanges!.countable);
  const lane = lanes.find((one) => one.estimator.name === estimator)!;
  const kinds = lane.samples.filter((one) => kind === null || one.kind === kind);
  const matched = part(kinds.reduce((sum, { turns }) => sum + turns, 0));
  const isWhole = kind === null || lane.samples.length === 1;
  return { exchanges_matched: matched, ...(isWhole && { exchanges_told: part(lane.turnsTold) }) };
}

function warningsOf(run: Evaluation, flows: number): string[] {
  const list = [...run.problems];
  if (run.truth.response.total + run.truth.handshake.total === 0) {
    list.push('the truth has no row within the capture: samples are counted, not compared');
  }
  if (run.refused > 0)
    list.push(
      `the flow table of ${flows} lines was full for ${run.refused} new flows; give more with --flows`,
    );
  if (run.backends.names.includes('unassigned')) list.push('some client ports are not in flows.csv');
  const cut = run.lanes.flatMap(({ samples }) => samples.filter(({ total }) => total > comparedMax));
  if (cut.length > 0 || run.truth.response.total > comparedMax)
    list.push(`only the first ${comparedMax} samples of each kind are compared`);
  return list;
}
