import { formatEndpoint } from '../../net/address.ts';
import { linkTypeNames } from '../../net/link.ts';
import { backendsMax } from './backends.ts';
import { discoveredVipsMax } from './directions.ts';
import type { Replay } from './replay.ts';
import type { EstimatorSummary, PolicySummary, ReplayResult } from './result.ts';

/** The result of a replay that has come to its end. */
export function summarise(run: Replay): ReplayResult {
  const { tally, engine, backends, files, options } = run;
  const { flows, counters } = engine;
  const ended = {
    closed: flows.counters.closed,
    reopened: flows.counters.reopened,
    idle: flows.counters.idle,
    evicted_unestablished: flows.counters.evictedUnestablished,
    evicted_idle: flows.counters.evictedIdle,
  };
  const policy = policySummary(run);
  const all = backends.names.map((_, backend) => backend);
  return {
    schema: 'inband.replay/1',
    files,
    span_s: tally.lastNs > tally.firstNs ? (tally.lastNs - tally.firstNs) / 1e9 : 0,
    packets: {
      read: files.reduce((sum, { packets }) => sum + packets, 0),
      client: tally.client,
      server: tally.server,
      skipped: tally.skipped,
    },
    flows: {
      created: flows.counters.created,
      active: flows.active,
      capacity: flows.capacity,
      ended,
      untracked_packets: counters.untracked,
      bytes_per_flow: engine.bytesPerFlow,
    },
    vips: run.vips.vips.map((vip, i) => ({
      vip: formatEndpoint(vip),
      flows: tally.vipFlows[i] ?? 0,
      packets: tally.vipPackets[i] ?? 0,
    })),
    assign: typeof options.assign === 'string' ? options.assign : 'flows.csv',
    backends: inOrder(backends.names).map((i) => ({
      backend: backends.names[i]!,
      flows: tally.backendFlows[i] ?? 0,
      packets: tally.backendPackets[i] ?? 0,
      estimators: estimators(run, [i]),
    })),
    estimators: estimators(run, all),
    ...(policy && { policy }),
    samples_dropped: present({
      negative: counters.samplesNegative,
      too_long: counters.samplesTooLong,
      limited: counters.samplesLimited,
    }),
    ...(run.comparison && { truth: run.comparison.truth }),
    warnings: warnings(run),
  };
}

function estimators(run: Replay, backends: number[]): EstimatorSummary[] {
  return run.engine.kinds.map((_, kind) => ({
    ...run.recorder.summary(backends, kind),
    ...(run.comparison && { error: run.comparison.error(backends, kind) }),
  }));
}

/** With fewer than two backends there is nothing to shift, hence no policy. */
function policySummary({ pool, options, policyEstimator }: Replay): PolicySummary | undefined {
  if (pool.names.length < 2) return undefined;
  const order = inOrder(pool.names);
  return {
    name: pool.policyName,
    alpha: options.alpha,
    estimator: policyEstimator,
    changes: pool.changes,
    backends: order.map((i) => pool.names[i]!),
    time_s: pool.history.timeS,
    share: pool.history.share.map((shares) => order.map((i) => shares[i] ?? 0)),
  };
}

/** Indices of names in the order that people look for them: s2 before s10. */
function inOrder(names: readonly string[]): number[] {
  const { compare } = new Intl.Collator('en', { numeric: true });
  return names.map((_, i) => i).sort((a, b) => compare(names[a]!, names[b]!));
}

function warnings(run: Replay): string[] {
  const { tally, engine, files, backends } = run;
  const skipped = tally.skipped;
  const list = files.flatMap(({ problems }) => problems);
  if (skipped.unsupported_link_type) {
    list.push(
      `${skipped.unsupported_link_type} packets have an unsupported link type; supported are ${linkTypeNames}`,
    );
  }
  if (tally.vipLimit > 0) {
    list.push(
      `${tally.vipLimit} packets belong to more than ${discoveredVipsMax} server-looking endpoints; name vips with --vip`,
    );
  }
  if (backends.full)
    list.push(`more than ${backendsMax} backends: the last ones are counted together as 'other'`);
  if (backends.names.includes('unassigned'))
    list.push('some client ports are not in the file of --assign: see backend unassigned');
  if (engine.counters.samplesNegative > 0) {
    list.push(`time went backwards: ${engine.counters.samplesNegative} samples dropped`);
  }
  if (engine.flows.counters.refused > 0) {
    list.push(
      `the flow table was full for ${engine.flows.counters.refused} new flows; give more with --flows`,
    );
  }
  if (run.comparison && run.comparison.truth.records === 0)
    list.push('the truth has no records: nothing to compare with');
  if (tally.client === 0) list.push('no client->server packet of a vip was found');
  return list;
}

/** Entries that are not 0. */
function present(counts: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}
