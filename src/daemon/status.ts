import type { BackendsAnswer, HealthAnswer } from '../admin/answers.ts';
import { explainPool } from '../control/explain.ts';
import type { BackendHealth } from '../health/health.ts';
import { dayTimes } from './clock.ts';
import type { Control } from './control.ts';
import { type Latency, latencyOf } from './latency.ts';
import type { Service } from './service.ts';

/** What of the process `status` tells. */
export interface ProcessFacts {
  readonly startedAt: Date;
  /** Directory by which forwarding outlives the process; null if it does not. */
  readonly pinned: string | null;
}

/** What `inband status --json` prints. */
export function statusOf(control: Control, { startedAt, pinned }: ProcessFacts) {
  const { datapath, settings, services } = control;
  const { name, mode, reason, kinds } = datapath;
  const timeOf = dayTimes();
  return {
    schema: 'inband.status/1',
    pid: process.pid,
    started_at: startedAt.toISOString(),
    datapath: { name, mode, reason, interface: settings.interface, adopted: datapath.adopted, pinned },
    capacity: datapath.capacity,
    policy: { name: settings.vips[0]!.policy.name, tick_ms: settings.tickNs / 1e6 },
    control: { ticks: control.ticks, ticks_late: control.ticksLate, last_tick_ns: control.lastTickNs },
    vips: services.map((service) => ({
      vip: service.name,
      policy: service.pool.policy.name,
      slots: service.prepared.slots,
      generation: service.generation,
      slots_moved: service.slotsMoved,
      backends: service.pool.backends.map(({ name: backend }, b) => ({
        backend,
        number: service.numbers[b]!,
        weight: service.weightOf(b),
        share: service.pool.held[b]!,
        state: service.obstacles[b] === undefined ? 'up' : 'unusable',
        ...(service.obstacles[b] !== undefined && { obstacle: service.obstacles[b] }),
        admin: service.states[b]!,
        health: healthAnswer(service.health[b]!, timeOf),
        ...datapath.traffic(service.numbers[b]!),
        latency: Object.fromEntries(
          kinds.map((kind, k) => [kind, latencyOf(service.meters[b]!.shown[k]!)]),
        ) as Record<string, Latency>,
      })),
    })),
    packets: datapath.packets(),
    flows: datapath.flows(),
    flows_capacity: settings.flows,
  };
}

/** What `inband why --json` prints of all backends. */
export function whyOf({ services }: Control) {
  const timeOf = dayTimes();
  return {
    schema: 'inband.why/1',
    vips: services.map(({ name, pool }) => ({ vip: name, ...explainPool(pool, timeOf) })),
  };
}

/** What GET /backends answers. */
export function backendsOf(control: Control): BackendsAnswer {
  const timeOf = dayTimes();
  return {
    schema: 'inband.backends/1',
    backends: control.services.flatMap((service) => {
      const slots = service.slotsOf(control.datapath);
      return service.numbers.map((_, b) => backendOf(control, service, b, slots[b]!, timeOf));
    }),
  };
}

function backendOf(
  { datapath }: Control,
  service: Service,
  b: number,
  slots: number,
  timeOf: (ns: number) => string,
): BackendsAnswer['backends'][number] {
  const { pool, configured, numbers, signals } = service;
  const { packets, bytes, flows, held } = datapath.traffic(numbers[b]!);
  const signal = signals[b];
  return {
    vip: service.name,
    backend: configured[b]!.name,
    number: numbers[b]!,
    encap: configured[b]!.encapsulation ?? 'l2',
    state: service.states[b]!,
    health: healthAnswer(service.health[b]!, timeOf),
    weight: service.weightOf(b),
    weight_configured: configured[b]!.weight,
    share: pool.held[b]!,
    slots,
    flows_held: held,
    flows_begun: flows,
    packets,
    bytes,
    in_flight: signal?.inFlight ?? null,
    oldest_ns: signal?.oldestNs ?? null,
    retransmits: signal ? signal.retransmits + signal.synRetransmits : null,
    resets: signal?.resets ?? null,
    obstacle: service.obstacles[b] ?? null,
    latency: shownLatency(service, b),
  };
}

/** Of the kind that the policy acts on. */
function shownLatency({ pool, meters }: Service, b: number): BackendsAnswer['backends'][number]['latency'] {
  const { samples, p50_ns, p99_ns } = latencyOf(meters[b]!.shown[pool.kinds.indexOf(pool.kind)]!);
  return p50_ns === null || p99_ns === null ? null : { kind: pool.kind, p50_ns, p99_ns, samples };
}

function healthAnswer(
  { state, sinceNs, check, reason, ejected }: BackendHealth,
  timeOf: (ns: number) => string,
): HealthAnswer {
  return {
    state,
    since: timeOf(sinceNs),
    check,
    reason,
    ejected: ejected && { until: timeOf(ejected.untilNs), reason: ejected.reason, times: ejected.times },
  };
}
