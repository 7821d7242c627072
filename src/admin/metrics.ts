import { causeNames } from '../control/reason.ts';
import { formatEndpoint } from '../net/address.ts';
import { type Cell, type Metric, named, perVip, type Scrape, type ServiceCells, single } from './metric.ts';
import { BucketCounts, bucketBoundsNs, samplesPerUpdateMax } from './metrics-buckets.ts';
import { ofBackends, ofSignals } from './metrics-of-backends.ts';
import { headLines, labelText, sampleLine, slices } from './metrics-text.ts';
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

const ofConfig: readonly Metric[] = [
  named(
    'inband_config_reloads_total',
    'Times that the configuration was read again, by how that went; one that failed changed nothing.',
    'result',
    ({ balancer: { reloads } }) => [
      ['success', reloads.succeeded],
      ['failure', reloads.failed],
    ],
  ),
  single(
    'inband_config_last_reload_success',
    'gauge',
    '1 if the configuration that was last read is the one that runs.',
    ({ balancer }) => (balancer.reloads.lastSucceeded ? 1 : 0),
  ),
  single(
    'inband_config_last_reload_success_timestamp_seconds',
    'gauge',
    'When the configuration that runs was taken, Unix time.',
    ({ balancer }) => balancer.reloads.timeS,
  ),
  single(
    'inband_state_write_failures_total',
    'counter',
    'Changes by operators that could not be written down: a restart forgets them.',
    ({ balancer }) => balancer.stateWriteFailures,
  ),
];

const ofDatapath: readonly Metric[] = [
  single(
    'inband_datapath_adopted',
    'gauge',
    '1 if it forwarded before this daemon, which took it over.',
    ({ balancer }) => (balancer.datapath.adopted ? 1 : 0),
  ),
  single(
    'inband_datapath_pinned',
    'gauge',
    '1 if it goes on to forward when the daemon ends.',
    ({ balancer }) => (balancer.pinned ? 1 : 0),
  ),
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
    'inband_backends_capacity',
    'gauge',
    'Backends of all vips together that it holds without being started anew.',
    ({ balancer }) => balancer.datapath.capacity.backends,
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
  ...ofConfig,
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
