import type { Status } from '../daemon.ts';
import { formatDuration } from '../units.ts';
import { healthWord } from './backends.ts';
import type { Table } from './content.ts';
import { formatBytes, formatCount, formatPercent, printable } from './format.ts';
import { colorPaint, plainPaint, tableLines } from './terminal.ts';
import type { TextOptions } from './text.ts';
import { stateWord } from './top-table.ts';

type Vip = Status['vips'][number];
type Backend = Vip['backends'][number];

/** What a running load balancer does, for people in a terminal; without a line feed at the end. */
export function statusText(status: Status, { width, color }: TextOptions): string {
  const paint = color ? colorPaint : plainPaint;
  const { datapath, policy, control } = status;
  const lines = [
    `inband, pid ${status.pid}, since ${status.started_at}`,
    `datapath ${datapath.name} ${datapath.mode} on ${printable(datapath.interface)}${datapath.reason && ` (${datapath.reason})`}`,
    datapath.pinned === null
      ? 'not pinned: it ends with the daemon'
      : `pinned at ${printable(datapath.pinned)}: it goes on without the daemon${datapath.adopted ? ', and did before this one' : ''}`,
    `policy ${policy.name}, a tick each ${policy.tick_ms} ms, ${formatCount(control.ticks)} so far, ${formatCount(control.ticks_late)} late`,
  ];
  for (const vip of status.vips) {
    lines.push(
      '',
      paint('bold', printable(vip.vip)) +
        `  table of ${formatCount(vip.slots)} slots, generation ${vip.generation}, ${formatCount(vip.slots_moved)} slots moved`,
      ...tableLines(backendTable(vip), width, paint),
      ...vip.backends.flatMap((backend) => problemLines(backend).map((line) => paint('yellow', line))),
    );
  }
  const { active = 0 } = status.flows;
  const used = status.flows_capacity > 0 ? active / status.flows_capacity : 0;
  const table = `flow table: ${formatCount(active)} of ${formatCount(status.flows_capacity)} (${formatPercent(used)})`;
  return [...lines, '', counts('packets', status.packets), counts('flows', status.flows), table].join('\n');
}

/** What keeps a backend from being used. */
function problemLines({ backend, obstacle, health }: Backend): string[] {
  const { state, reason, ejected } = health;
  const problems = [
    ...(obstacle === undefined ? [] : [obstacle]),
    ...(state === 'down' && reason !== '' ? [reason] : []),
    ...(ejected ? [ejected.reason] : []),
  ];
  return problems.map((problem) => `${printable(backend)}: ${printable(problem)}`);
}

/** `up`, `drain`, `drain/down`, `ejected`, `unusable`. */
const stateOf = ({ admin, health, obstacle }: Backend): string =>
  stateWord({ state: admin, health: healthWord(health), problem: obstacle ?? null });

function backendTable({ backends }: Vip): Table {
  const kinds = Object.keys(backends[0]?.latency ?? {}).filter((kind) =>
    backends.some(({ latency }) => latency[kind]!.samples > 0),
  );
  const latency = (value: number | null) => (value === null ? '-' : formatDuration(value));
  return {
    title: '',
    note: '',
    head: [
      'backend',
      'state',
      'share',
      'held',
      'begun',
      'packets',
      'bytes',
      ...kinds.flatMap((kind) => [`${kind} p50`, 'p95', 'p99']),
    ],
    rows: backends.map((backend) => [
      backend.backend,
      stateOf(backend),
      formatPercent(backend.share),
      formatCount(backend.held),
      formatCount(backend.flows),
      formatCount(backend.packets),
      formatBytes(backend.bytes),
      ...kinds.flatMap((kind) => {
        const { p50_ns, p95_ns, p99_ns } = backend.latency[kind]!;
        return [latency(p50_ns), latency(p95_ns), latency(p99_ns)];
      }),
    ]),
  };
}

function counts(title: string, counters: Record<string, number>): string {
  const shown = Object.entries(counters).filter(([, count]) => count > 0);
  return `${title}: ${shown.map(([name, count]) => `${name} ${formatCount(count)}`).join(', ') || 'none'}`;
}
