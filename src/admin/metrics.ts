import { causeNames } from '../control/reason.ts';
import type { BackendSignals } from '../latency/signals.ts';
import { formatEndpoint } from '../net/address.ts';
import { BucketCounts, bucketBoundsNs, samplesPerUpdateMax } from './metrics-buckets.ts';
import { headLines, labelText, type MetricType, sampleLine, slices } from './metrics-text.ts';
import type { BalancerView, ServiceView } from './view.ts';

/** A part of a scrape is made within this time: the control loop's tick, of 1 ms or more, waits no longer for it. */
const sliceMs = 0.1;
/** What follows the other labels of a bucket, and of a decision. */
const boundLabels = [...bucketBoundsNs.map((boundNs) => String(boundNs / 1e9)), '+Inf'].map(
  (le) => `,${labelText({ le })}`,
);
const causeLabels = causeNames.map((cause) => [cause, `,${labelText({ cause })}`] as const);
/** What starts the names of sample counters among what the datapath counts of flows. */
const ofSamples = 'samples_';

/** A backend of a vip, with what is kept for it from one scrape to the next. */
interface Cell {
  readonly index: number;
  readonly labels: string;
  readonly kinds: readonly { readonly labels: string; readonly counts: BucketCounts }[];
}

interface ServiceCells {
  readonly labels: string;
  readonly vip: string;
  readonly cells: readonly Cell[];
}

/** Everything that one scrape reads. */
interface Scrape {
  readonly balancer: BalancerView;
  readonly services: readonly (ServiceCells & { readonly service: ServiceView })[];
  readonly traffic: (service: ServiceView, index: number) => ReturnType<BalancerView['datapath']['traffic']>;
}

/** One metric: what it means, and the lines of its samples. */
export interface Metric {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly labels: readonly string[];
  /** Its lines; `name` is its own. */
  samples(scrape: Scrape, name: string): Iterable<string>;
}

type Read = (scrape: Scrape) => number;

const single = (name: string, type: MetricType, help: string, read: Read): Metric => ({
  name,
  type,
  help,
  labels: [],
  samples: (scrape) => [sampleLine(name, '', read(scrape))],
});

/** A sample for each name of a record. */
function named(
  name: string,
  help: string,
  label: string,
  read: (scrape: Scrape) => readonly (readonly [key: string, value: number])[],
): Metric {
  const samples = (scrape: Scrape) =>
    read(scrape).map(([key, value]) => sampleLine(name, labelText({ [label]: key }), value));
  return { name, type: 'counter', help, labels: [label], samples };
}

function perVip(
  name: string,
  type: MetricType,
  help: string,
  read: (service: ServiceView) => number,
): Metric {
  function* samples({ services }: Scrape) {
    for (const { service, labels } of services) yield sampleLine(name, labels, read(service));
  }
  return { name, type, help, labels: ['vip'], samples };
}

function perBackend(
  name: string,
  type: MetricType,
  help: string,
  read: (service: ServiceView, index: number, scrape: Scrape) => number,
): Metric {
  function* samples(scrape: Scrape) {
    for (const { service, cells } of scrape.services) {
      for (const { labels, index } of cells) yield sampleLine(name, labels, read(service, index, scrape));
    }
  }
  return { name, type, help, labels: ['vip', 'backend'], samples };
}

/** Absent where the datapath does not count signals. */
function perSignals(
  name: string,
  type: MetricType,
  help: string,
  read: (signals: BackendSignals) => number,
): Metric {
  function* samples({ services }: Scrape) {
    for (const { service, cells } of services) {
      if (service.signals.length === 0) continue;
      for (const { labels, index } of cells) yield sampleLine(name, labels, read(service.signals[index]!));
    }
  }
  return { name, type, help, labels: ['vip', 'backend'], samples };
}

const flowEvents = ({ balancer }: Scrape) => Object.entries(balancer.datapath.flows());

const ofProcess: readonly Metric[] = [
  {
    name: 'inband_build_info',
    type: 'gauge',
    help: 'Version of the daemon; always 1.',
    labels: ['version'],
    samples: ({ balancer: { version } }, name) => [sampleLine(name, labelText({ version }), 1)],
  },
  {
    name: 'inband_datapath_info',
    type: 'gauge',
    help: 'What forwards packets, how, on which interface, and why not in a faster way; always 1.',
    labels: ['datapath', 'mode', 'interface', 'reason'],
    samples: ({ balancer }, metric) => {
      const { name, mode, reason } = balancer.datapath;
      return [
        sampleLine(metric, labelText({ datapath: name, mode, interface: balancer.interface, reason }), 1),
      ];
    },
  },
  single(
    'inband_uptime_seconds',
    'gauge',
    'Time since the daemon started.',
    ({ balancer }) => balancer.uptimeNs / 1e9,
  ),
  single('inband_process_cpu_seconds_total', 'counter', 'CPU time of the daemon, user and system.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  }),
  single('inband_process_resident_memory_bytes', 'gauge', 'Resident memory of the daemon.', () =>
    process.memoryUsage.rss(),
  ),
  single(
    'inband_control_tick_seconds',
    'gauge',
    'Configured period of the control loop.',
    ({ balancer }) => balancer.tickNs / 1e9,
  ),
  single(
    'inband_control_ticks_total',
    'counter',
    'Turns of the control loop.',
    ({ balancer }) => balancer.ticks,
  ),
  single(
    'inband_control_ticks_late_total',
    'counter',
    'Turns that came more than a period and 1 ms late.',
    ({ balancer }) => balancer.ticksLate,
  ),
];

const ofDatapath: readonly Metric[] = [
  named(
    'inband_packets_total',
    'Packets by how they left the datapath: all that it saw.',
    'reason',
    ({ balancer }) => Object.entries(balancer.datapath.packets()),
  ),
  named(
    'inband_flow_events_total',
    'What happened to flows: how they began, ended, or found no place in the table.',
    'event',
    (scrape) => flowEvents(scrape).filter(([event]) => event !== 'active' && !event.startsWith(ofSamples)),
  ),
  named(
    'inband_sample_events_total',
    'Samples that are not in histograms (dropped, limited) or did not reach a listener (lost).',
    'event',
    (scrape) =>
      flowEvents(scrape).flatMap(([event, count]) =>
        event.startsWith(ofSamples) ? [[event.slice(ofSamples.length), count] as const] : [],
      ),
  ),
  single(
    'inband_flows_active',
    'gauge',
    'Flows in the table.',
    ({ balancer }) => balancer.datapath.flows().active ?? 0,
  ),
  single(
    'inband_flows_capacity',
    'gauge',
    'Flows that the table holds without refusing one.',
    ({ balancer }) => balancer.flowsCapacity,
  ),
];

const ofVips: readonly Metric[] = [
  {
    name: 'inband_vip_policy_info',
    type: 'gauge',
    help: 'Policy of a vip and the kind of samples that it acts on now; always 1.',
    labels: ['vip', 'policy', 'kind'],
    samples: ({ services }, name) =>
      services.map(({ service: { pool }, vip }) =>
        sampleLine(name, labelText({ vip, policy: pool.policy.name, kind: pool.kind }), 1),
      ),
  },
  perVip(
    'inband_vip_generation',
    'gauge',
    "Number of the vip's table: how often it was changed.",
    ({ generation }) => generation,
  ),
  perVip(
    'inband_vip_slots_moved_total',
    'counter',
    'Slots that changed their backend.',
    ({ slotsMoved }) => slotsMoved,
  ),
];

const ofBackends: readonly Metric[] = [
  perBackend('inband_backend_up', 'gauge', '1 if the backend can be sent packets.', ({ obstacles }, index) =>
    obstacles[index] === undefined ? 1 : 0,
  ),
  perBackend(
    'inband_backend_weight',
    'gauge',
    'Weight as a ratio to those of the others, as configured or as an operator changed it; 0 for no new flows.',
    (service, index) => service.weightOf(index),
  ),
  perBackend(
    'inband_backend_share_ratio',
    'gauge',
    "Fraction of the vip's slots that the backend holds, and so of its new flows.",
    ({ pool }, index) => pool.held[index]!,
  ),
  perBackend(
    'inband_backend_packets_total',
    'counter',
    'Packets sent to the backend.',
    (service, index, { traffic }) => traffic(service, index).packets,
  ),
  perBackend(
    'inband_backend_bytes_total',
    'counter',
    'Bytes sent to the backend.',
    (service, index, { traffic }) => traffic(service, index).bytes,
  ),
  perBackend(
    'inband_backend_flows_total',
    'counter',
    'Flows that began at the backend.',
    (service, index, { traffic }) => traffic(service, index).flows,
  ),
];

const ofSignals: readonly Metric[] = [
  perSignals('inband_backend_requests_total', 'counter', 'Requests sent.', ({ requests }) => requests),
  perSignals(
    'inband_backend_responses_total',
    'counter',
    'Requests whose response the client acknowledged.',
    ({ responses }) => responses,
  ),
  perSignals(
    'inband_backend_handshakes_total',
    'counter',
    'Handshakes that clients completed.',
    ({ handshakes }) => handshakes,
  ),
  perSignals(
    'inband_backend_syn_retransmits_total',
    'counter',
    'SYNs sent again: no answer came in time.',
    ({ synRetransmits }) => synRetransmits,
  ),
  perSignals(
    'inband_backend_segments_total',
    'counter',
    'Segments with data from clients.',
    ({ segments }) => segments,
  ),
  perSignals(
    'inband_backend_retransmits_total',
    'counter',
    'Segments with data that clients sent again.',
    ({ retransmits }) => retransmits,
  ),
  perSignals(
    'inband_backend_resets_total',
    'counter',
    'Connections that clients reset.',
    ({ resets }) => resets,
  ),
  perSignals(
    'inband_backend_requests_in_flight',
    'gauge',
    'Requests without evidence of a response now; an upper bound.',
    ({ inFlight }) => inFlight,
  ),
  perSignals(
    'inband_backend_oldest_request_seconds',
    'gauge',
    'Age of the oldest request in flight; 0 without one.',
    ({ oldestNs }) => oldestNs / 1e9,
  ),
];

/** The lines of a histogram together: they are read at one moment. A kind without a sample has none. */
function* histograms({ services }: Scrape, name: string): Generator<string, void> {
  for (const { cells } of services) {
    for (const { labels, counts } of cells.flatMap(({ kinds }) => kinds)) {
      counts.update();
      if (counts.count === 0) continue;
      let text = '';
      for (let i = 0; i < boundLabels.length; i++) {
        text += `${name}_bucket{${labels}${boundLabels[i]}} ${counts.cumulative[i]}\n`;
      }
      yield `${text}${name}_sum{${labels}} ${counts.sumNs / 1e9}\n${name}_count{${labels}} ${counts.count}\n`;
    }
  }
}

function* decisions({ services }: Scrape, name: string): Generator<string, void> {
  for (const { service, cells } of services) {
    for (const { index, labels } of cells) {
      for (const [cause, label] of causeLabels) {
        yield sampleLine(name, labels + label, service.pool.decisions.steps(index, cause));
      }
    }
  }
}

/** Every metric, in the order of a scrape. Names and labels are stable; docs/metrics.md is made from this. */
export const metrics: readonly Metric[] = [
  ...ofProcess,
  ...ofDatapath,
  ...ofVips,
  ...ofBackends,
  ...ofSignals,
  {
    name: 'inband_backend_decisions_total',
    type: 'counter',
    help: 'Steps of the share by what made the policy take them.',
    labels: ['vip', 'backend', 'cause'],
    samples: decisions,
  },
  {
    name: 'inband_backend_latency_seconds',
    type: 'histogram',
    help: 'Latency samples by kind; kinds cannot be compared with each other.',
    labels: ['vip', 'backend', 'kind'],
    samples: histograms,
  },
];

/**
 * The metrics of a running load balancer in Prometheus' text format. Nothing is counted here: a scrape reads what the
 * datapath and the pools count anyway, in slices that leave the event loop to the control loop.
 */
export class Metrics {
  readonly #balancer: BalancerView;
  readonly #cells = new WeakMap<ServiceView, ServiceCells>();

  constructor(balancer: BalancerView) {
    this.#balancer = balancer;
  }

  /** The text of one scrape, in parts. */
  scrape(): AsyncGenerator<string, void> {
    return slices(this.#lines(), sliceMs);
  }

  /** To be called every minute or so, whether or not anybody scrapes: bins of histograms wrap. */
  carry(): void {
    for (const service of this.#balancer.services) {
      for (const { kinds } of this.#cellsOf(service).cells) {
        for (const { counts } of kinds) counts.update(samplesPerUpdateMax);
      }
    }
  }

  *#lines(): Generator<string, void> {
    const balancer = this.#balancer;
    const services = [];
    for (const service of balancer.services) {
      services.push({ service, ...this.#cellsOf(service) });
      yield '';
    }
    const scrape: Scrape = {
      balancer,
      services,
      traffic: (service, index) => balancer.datapath.traffic(service.numbers[index]!),
    };
    for (const metric of metrics) {
      yield headLines(metric.name, metric.type, metric.help);
      yield* metric.samples(scrape, metric.name);
    }
  }

  #cellsOf(service: ServiceView): ServiceCells {
    const known = this.#cells.get(service);
    if (known) return known;
    const vip = formatEndpoint(service.vip);
    const cells = service.pool.backends.map(({ name }, index) => this.#cell(service, vip, name, index));
    const made = { vip, labels: labelText({ vip }), cells };
    this.#cells.set(service, made);
    return made;
  }

  #cell(service: ServiceView, vip: string, backend: string, index: number): Cell {
    const { datapath } = this.#balancer;
    return {
      index,
      labels: labelText({ vip, backend }),
      kinds: datapath.kinds.map((kind, number) => ({
        labels: labelText({ vip, backend, kind }),
        counts: new BucketCounts(datapath.histogram(service.numbers[index]!, number)),
      })),
    };
  }
}
