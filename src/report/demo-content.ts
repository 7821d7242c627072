import { demoSetup } from '../demo/plan.ts';
import type { DemoResult, DemoRun } from '../demo/result.ts';
import { formatDuration } from '../units.ts';
import type { Fact, Table } from './content.ts';
import { formatCount, formatPercent } from './format.ts';

/** How the runs are called. */
export const runTitle = { static: 'static table', 'in-band': 'in-band control' } as const;

/** A measured time of three digits, as no measurement here has more: `364us`, `1.35ms`. */
export const formatMeasured = (ns: number): string => formatDuration(Number(ns.toPrecision(3)));

const us = (value: number | null): string => (value === null ? '-' : formatMeasured(value * 1e3));
const ms = (value: number | null): string => (value === null ? 'never' : formatMeasured(value * 1e6));

type Row = [name: string, value: (run: DemoRun) => string];

const rows: readonly Row[] = [
  ['slower server', (run) => run.slowed],
  ['its share of slots before', (run) => formatPercent(run.slowed_share.at_injection)],
  ['its share while slower, mean', (run) => formatPercent(run.slowed_share.during_mean)],
  ['client p95 before', (run) => us(run.p95_us.before)],
  ['client p95 while slower', (run) => us(run.p95_us.during)],
  ['client p95 after', (run) => us(run.p95_us.after)],
  ['first slot moved away after', (run) => ms(run.reaction.first_slot_moved_ms)],
  ['90% of new flows moved after', (run) => ms(run.reaction.new_flows_moved_ms)],
  ['client p95 back after', (run) => ms(run.reaction.p95_back_ms)],
  ['requests answered', (run) => formatCount(run.requests)],
  ['requests failed', (run) => formatCount(run.errors)],
  ['packets forwarded', (run) => formatCount(run.packets_forwarded)],
  ['packets lost', (run) => formatCount(run.packets_lost)],
];

/** Both runs side by side. */
export const demoTable = (result: DemoResult): Table => ({
  title: 'Both runs',
  note: '',
  head: ['', ...result.runs.map(({ name }) => name)],
  rows: rows.map(([name, value]) => [name, ...result.runs.map(value)]),
});

/** What the rows of the table mean. */
export const demoLegend =
  `p95: median over ${demoSetup.intervalMs} ms intervals, without the first ${demoSetup.settleMs} ms of each phase. ` +
  'back: within 1.2 times of before, and its median over 100 ms too. 90% moved: the slower server holds at most 10% of the slots. ' +
  'Times count from the moment of the delay. lost: without a way to a server, or gone between the load balancer and one.';

/** What the runs showed, in a sentence each. */
export const demoSentences = ({ runs, added_delay_us }: DemoResult): string[] =>
  runs.map((run) => {
    const { before, during } = run.p95_us;
    const { new_flows_moved_ms, p95_back_ms } = run.reaction;
    const began = `With ${run.name === 'static' ? 'the static table' : 'in-band control'}, ${us(added_delay_us)} more on the path to ${run.slowed}`;
    if (p95_back_ms === null) {
      const ratio =
        before === null || during === null ? '' : `, ${Number((during / before).toPrecision(2))}x,`;
      return `${began} raised the client's p95 from ${us(before)} to ${us(during)}${ratio} for as long as it lasted.`;
    }
    const moved =
      new_flows_moved_ms === null
        ? ''
        : ` 90% of new flows went elsewhere within ${ms(new_flows_moved_ms)}, and`;
    return `${began}:${moved} the client's p95 was back within ${ms(p95_back_ms)} (${us(before)} before, ${us(during)} then).`;
  });

/** How both runs were made. */
export function demoFacts(result: DemoResult): Fact[] {
  const { servers, load, runs } = result;
  const names = {
    memcached: 'memcached',
    kv: 'the built-in key-value server, as memcached is not installed',
  };
  return [
    ['servers', `${servers.count}, running ${names[servers.application]}`],
    [
      'load',
      `${load.connections} connections, each made anew after ${load.requests_per_connection} requests; ${formatPercent(load.set_ratio)} sets of ${load.value_bytes} B, the others gets`,
    ],
    [
      'path to a server',
      `${us(result.base_delay_us)}; ${us(result.added_delay_us)} more for one of them from ${result.injected_at_s}s to ${result.removed_at_s}s`,
    ],
    ['datapath', [...new Set(runs.map(({ datapath }) => datapath))].join(', ')],
    ['policies', runs.map(({ name, policy }) => `${runTitle[name]}: ${policy}`).join('; ')],
    [
      'the slower one',
      'the second one with the static table; with in-band control the one that holds more slots just then, as equal servers let the shares wander',
    ],
  ];
}
