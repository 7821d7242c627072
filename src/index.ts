/**
 * The public API of inband as a library: read captures, decode packets, estimate latencies, build Maglev tables, and run
 * the policies that move slots. The names are the same as in the command, its configuration and its metrics.
 */

export { type Difference, difference } from './config/difference.ts';
export { checkConfigText, loadConfig } from './config/load.ts';
export type { Settings } from './config/settings.ts';
export { Balance } from './control/balance.ts';
export type { Policy, PolicyInput } from './control/policy.ts';
export { Pool, type PoolBackend, type PoolOptions } from './control/pool.ts';
export { type Cause, type Reason, reasonText } from './control/reason.ts';
export { createPolicy, type PolicySettings, policyNames } from './control/registry.ts';
export { alphaDefault, Shift } from './control/shift.ts';
export { type Assign, Engine, type EngineCounters, type OnSample } from './datapath/engine.ts';
export { type CostMethod, evaluate } from './datapath/replay/eval/eval.ts';
export { type EvalOptions, evalEstimators } from './datapath/replay/eval/options.ts';
export type {
  EvalCapture,
  EvalEstimator,
  EvalResult,
  EvalRow,
  EvalSkipped,
  EvalStep,
  EvalTimeline,
} from './datapath/replay/eval/result.ts';
export type { ReplayOptions } from './datapath/replay/options.ts';
export { replay } from './datapath/replay/replay.ts';
export type {
  EstimatorError,
  EstimatorSummary,
  LatencySeries,
  PolicySummary,
  ReplayBackend,
  ReplayFile,
  ReplayResult,
  ReplayTimeline,
} from './datapath/replay/result.ts';
export { type ErrorCode, exitCode, InbandError } from './errors.ts';
export {
  type FlowCounters,
  FlowTable,
  type FlowTimeouts,
  flowsMax,
  flowsMin,
  flowTimeoutsDefault,
} from './flow/table.ts';
export { seededSecret, tabulationSecretWords } from './flow/tabulation.ts';
export { VipTable, vipsMax } from './flow/vips.ts';
export {
  type Cliff,
  cliffs,
  type EnsembleOptions,
  EnsembleTimeout,
  epochDefault,
  timeoutsDefault,
} from './latency/ensemble.ts';
export { type Emit, type Estimator, type EstimatorSize, latencyNsMax } from './latency/estimator.ts';
export { FixedTimeout } from './latency/fixed.ts';
export { Handshake } from './latency/handshake.ts';
export { createEstimators, type EstimatorSettings, estimatorUsage } from './latency/registry.ts';
export { type LatencyWindow, Window, WindowSet } from './latency/window.ts';
export {
  createTableBuilder,
  type Disruption,
  disruption,
  type NamedTable,
  type TableMethod,
  type TableOptions,
} from './maglev/builder.ts';
export {
  backendOf,
  slotHashIpv4,
  slotHashIpv6,
  slotOf,
  vipSeedIpv4,
  vipSeedIpv6,
} from './maglev/hash.ts';
export type { MaglevBackend } from './maglev/population.ts';
export type { SlotTable, TableBuilder } from './maglev/shares.ts';
export { type Address, type Endpoint, formatEndpoint, parseAddress, parseEndpoint } from './net/address.ts';
export { linkTypes } from './net/link.ts';
export { Packet, type VerdictName, verdicts } from './net/packet.ts';
export type { PacketBatch } from './pcap/batch.ts';
export type { CaptureProblem, CaptureProblemKind } from './pcap/problems.ts';
export { CaptureReader, type CaptureReaderOptions } from './pcap/reader.ts';
export { CaptureWriter, type CaptureWriterOptions } from './pcap/writer.ts';
export { evalHtml } from './report/eval-html.ts';
export { evalText } from './report/eval-text.ts';
export { replayHtml } from './report/html.ts';
export { replayText, type TextOptions } from './report/text.ts';
export { type BackendId, formatDuration, type Ns, ns, parseDuration, type Slot } from './units.ts';
