import type { BalancerView, ServiceView } from '../../src/admin/view.ts';
import { Pool } from '../../src/control/pool.ts';
import { createPolicy } from '../../src/control/registry.ts';
import type { SampleMemory } from '../../src/datapath/capture/memory.ts';
import type { LiveWindow } from '../../src/datapath/datapath.ts';
import type { BackendHealth } from '../../src/health/health.ts';
import { SignalMemory } from '../../src/latency/signal-memory.ts';
import { parseEndpoint } from '../../src/net/address.ts';
import { ns } from '../../src/units.ts';
import { FakeDatapath, type FakeTraffic } from '../support/datapath.ts';

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A load balancer without packets: what metrics read is set by hand. */
export interface Stage {
  readonly balancer: Writable<BalancerView>;
  readonly services: readonly Writable<ServiceView>[];
  readonly samples: SampleMemory;
  readonly signals: SignalMemory;
  /** Of the pools, of all kinds. */
  readonly windows: readonly LiveWindow[];
  readonly packets: Record<string, number>;
  readonly flows: Record<string, number>;
  readonly traffic: readonly FakeTraffic[];
}

export interface StageOptions {
  readonly vips?: readonly string[];
  /** Names of the backends of each vip. */
  readonly backends?: readonly string[];
  readonly kinds?: readonly string[];
  readonly hasSignals?: boolean;
  readonly reason?: string;
}

const well: BackendHealth = { state: 'up', sinceNs: ns(1e9), check: 'tcp', reason: '', ejected: null };

export function aStage(options: StageOptions = {}): Stage {
  const { vips = ['10.0.0.1:80/tcp'], backends = ['10.0.0.11', '10.0.0.12'] } = options;
  const { kinds = ['handshake', 'request'], hasSignals = true, reason = '' } = options;
  const total = vips.length * backends.length;
  const memory = new SignalMemory(total);
  const datapath = new FakeDatapath(
    vips.map((vip) => ({
      endpoint: parseEndpoint(vip, 'vip'),
      backends: backends.map((name) => ({ name })),
    })),
    { kinds, reason, signals: (backend) => memory.of(backend) },
  );
  const ofPools: LiveWindow[] = [];
  const services = datapath.placed.map(({ vip: place, backends: numbers }, v): Writable<ServiceView> => {
    const windows = kinds.map((_, k) => numbers.map((number) => datapath.window(number, k)));
    ofPools.push(...windows.flat());
    return {
      vip: parseEndpoint(vips[v]!, 'vip'),
      pool: new Pool({
        policy: createPolicy('shift'),
        backends: backends.map((name) => ({ name, weight: 1 })),
        kinds,
        windows,
      }),
      place,
      numbers,
      signals: hasSignals ? numbers.map((number) => datapath.signals(number)) : [],
      states: backends.map(() => 'ready'),
      health: backends.map(() => well),
      obstacles: backends.map(() => undefined),
      weightOf: () => 1,
      generation: 0,
      slotsMoved: 0,
    };
  });
  const balancer = {
    version: '1.2.3',
    interface: 'eth0',
    datapath,
    flowsCapacity: 1_000,
    tickNs: ns(1e6),
    uptimeNs: 2.5e9,
    ticks: 2_500,
    ticksLate: 3,
    reloads: { succeeded: 2, failed: 1, lastSucceeded: false, timeS: 1_700_000_000 },
    pinned: true,
    healthCounts: () => ({ passed: 7, failed: 3, ejections: 2, refuted: 1 }),
    stateWriteFailures: 4,
    services,
  };
  return {
    balancer,
    services,
    samples: datapath.samples,
    signals: memory,
    windows: ofPools,
    packets: datapath.reasons,
    flows: datapath.events,
    traffic: Array.from({ length: total }, (_, number) => datapath.traffic(number)),
  };
}
