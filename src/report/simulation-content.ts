import type { PhaseResult, PolicyResult, SimulationResult } from '../sim/result.ts';
import { formatDuration } from '../units.ts';
import { type Fact, plural, type Table } from './content.ts';
import { formatCount, formatPercent } from './format.ts';

type Column = [title: string, value: (policy: PolicyResult, phase: PhaseResult) => string];

/** A latency of three digits, as a sketch has no more. */
const latency = (ns: number | null): string =>
  ns === null ? '-' : formatDuration(Number(ns.toPrecision(3)));
const after = (ms: number | null): string =>
  ms === null ? '-' : formatDuration(Number((ms * 1e6).toPrecision(3)));

const latencyColumns: readonly Column[] = [
  ['policy', ({ policy }) => policy],
  ['p50', (_, { p50_ns }) => latency(p50_ns)],
  ['p95', (_, { p95_ns }) => latency(p95_ns)],
  ['p99', (_, { p99_ns }) => latency(p99_ns)],
  ['mean', (_, { mean_ns }) => latency(mean_ns)],
  ['failed', (_, { failed }) => formatCount(failed)],
  ['requests', (_, { requests }) => formatCount(requests)],
  ['slots moved', (_, { slots_moved }) => formatCount(slots_moved)],
  ['share sd', (_, { backends }) => formatPercent(Math.max(...backends.map(({ share_sd }) => share_sd)))],
];

const title = { before: 'Before', during: 'During', after: 'After' } as const;

/** A table per phase with a row per policy. */
export function phaseTables({ policies }: SimulationResult): Table[] {
  const phases = policies[0]?.phases ?? [];
  return phases.map(({ phase, from_s, until_s }, i) => ({
    title: phases.length === 1 ? 'Latencies' : title[phase],
    note: `${from_s}s to ${until_s}s`,
    head: latencyColumns.map(([name]) => name),
    rows: policies.map((policy) => latencyColumns.map(([, value]) => value(policy, policy.phases[i]!))),
  }));
}

/** How fast each policy was, and where it took the share of the backends in question; none without such backends. */
export function reactionTable({ policies, focus }: SimulationResult): Table | undefined {
  if (focus.length === 0) return undefined;
  return {
    title: 'Reaction',
    note: focusText(focus),
    head: ['policy', 'react', 'recover', 'configured', 'settled', 'flows broken', 'flows crashed'],
    rows: policies.map((policy) => [
      policy.policy,
      after(policy.react_ms),
      after(policy.recover_ms),
      formatPercent(policy.focus_share?.configured),
      formatPercent(policy.focus_share?.settled),
      formatCount(policy.flows_broken),
      formatCount(policy.flows_crashed),
    ]),
  };
}

/** Backends named in a line. */
const namesMax = 6;

export const focusText = (focus: readonly string[]): string =>
  focus.length > namesMax
    ? `${focus.slice(0, namesMax).join(', ')} and ${focus.length - namesMax} more`
    : focus.join(', ');

/** What the columns mean. */
export const simulationLegend =
  "Latencies are the client's, from sending a request to its response; failed requests count with their timeout if they " +
  'had to wait for it. share sd: the largest standard deviation of any share, over time and load balancers. react: 90 % of ' +
  'the way to the share that the backends in question settled at, which is that of the second half of the change. ' +
  'recover: within 5 % of the configured share for good.';

export function simulationFacts(result: SimulationResult): Fact[] {
  const { scenario, duration_s, load_balancers, backends, seed, runs, policies } = result;
  const requests = policies.map(({ requests }) => requests);
  return [
    ['scenario', scenario],
    [
      'simulated',
      `${duration_s}s, ${runs === 1 ? `seed ${seed}` : `${runs} runs, seeds ${seed} to ${seed + runs - 1}`}`,
    ],
    ['backends', `${formatCount(backends.length)}, behind ${plural(load_balancers, 'load balancer')}`],
    ['requests', requests.length === 0 ? '0' : rangeText(Math.min(...requests), Math.max(...requests))],
  ];
}

const rangeText = (least: number, most: number): string =>
  least === most ? formatCount(least) : `${formatCount(least)} to ${formatCount(most)}, by policy`;
