import type { Status } from '../daemon.ts';
import { formatDuration } from '../units.ts';
import type { Table } from './content.ts';
import { formatBytes, formatCount, formatPercent, printable } from './format.ts';
import { colorPaint, plainPaint, tableLines } from './terminal.ts';
import type { TextOptions } from './text.ts';

type Vip = Status['vips'][number];

/** What a running load balancer does, for people in a terminal; without a line feed at the end. */
export function statusText(status: Status, { width, color }: TextOptions): string {
  const paint = color ? colorPaint : plainPaint;
  const { datapath, policy, control } = status;
  const lines = [
    `inband, pid ${status.pid}, since ${status.started_at}`,
    `datapath ${datapath.name} ${datapath.mode} on ${printable(datapath.interface)}${datapath.reason && ` (${datapath.reason})`}`,
    `policy ${policy.name}, a tick each ${policy.tick_ms} ms, ${formatCount(control.ticks)} so far, ${formatCount(control.ticks_late)} late`,
  ];
  for (const vip of status.vips) {
    lines.push(
      '',
      paint('bold', printable(vip.vip)) +
        `  table of ${formatCount(vip.slots)} slots, generation ${vip.generation}, ${formatCount(vip.slots_moved)} slots moved`,
      ...tableLines(backendTable(vip), width, paint),
      ...vip.backends.flatMap(({ backend, obstacle }) =>
        obstacle === undefined ? [] : [paint('yellow', `${printable(backend)}: ${printable(obstacle)}`)],
      ),
    );
  }
  return [...lines, '', counts('packets', status.packets), counts('flows', status.flows)].join('\n');
}

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
      'flows',
      'packets',
      'bytes',
      ...kinds.flatMap((kind) => [`${kind} p50`, 'p95', 'p99']),
    ],
    rows: backends.map((backend) => [
      backend.backend,
      backend.state,
      formatPercent(backend.share),
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
