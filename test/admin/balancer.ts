import type { BalancerView, ServiceView } from '../../src/admin/view.ts';
import { Pool } from '../../src/control/pool.ts';
import { createPolicy } from '../../src/control/registry.ts';
import { SampleMemory } from '../../src/datapath/capture/memory.ts';
import type { Datapath, LiveWindow } from '../../src/datapath/datapath.ts';
import { SignalMemory } from '../../src/latency/signal-memory.ts';
import { parseEndpoint } from '../../src/net/address.ts';
import { ns } from '../../src/units.ts';

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
  readonly traffic: { packets: number; bytes: number; flows: number }[];
}

export interface StageOptions {
  readonly vips?: readonly string[];
  /** Names of the backends of each vip. */
  readonly backends?: readonly string[];
  readonly kinds?: readonly string[];
  readonly hasSignals?: boolean;
  readonly reason?: string;
}

export function aStage(options: StageOptions = {}): Stage {
  const { vips = ['10.0.0.1:80/tcp'], backends = ['10.0.0.11', '10.0.0.12'] } = options;
  const { kinds = ['handshake', 'request'], hasSignals = true, reason = '' } = options;
  const total = vips.length * backends.length;
  const samples = new SampleMemory(total, kinds.length);
  const memory = new SignalMemory(total);
  const packets: Record<string, number> = { tx: 0, no_backend: 0 };
  const flows: Record<string, number> = { created: 0, idle: 0, samples_dropped: 0, active: 0 };
  const traffic = Array.from({ length: total }, () => ({ packets: 0, bytes: 0, flows: 0 }));
  const datapath: Datapath = {
    name: 'capture',
    mode: 'libpcap',
    reason,
    kinds,
    slots: () => new Uint16Array(1),
    window: (backend, kind) => samples.window(backend, kind),
    histogram: (backend, kind) => samples.histogram(backend, kind),
    signals: (backend) => memory.of(backend),
    packets: () => packets,
    flows: () => flows,
    traffic: (backend) => traffic[backend]!,
    poll: () => {},
    obstacle: () => undefined,
    notices: () => [],
    listen: () => () => {},
    close: () => {},
  };
  const ofPools: LiveWindow[] = [];
  const services = vips.map((vip, v): Writable<ServiceView> => {
    const first = v * backends.length;
    const windows = kinds.map((_, k) => backends.map((_, b) => samples.window(first + b, k)));
    ofPools.push(...windows.flat());
    return {
      vip: parseEndpoint(vip, 'vip'),
      pool: new Pool({
        policy: createPolicy('shift'),
        backends: backends.map((name) => ({ name, weight: 1 })),
        kinds,
        windows,
      }),
      first,
      signals: hasSignals ? backends.map((_, b) => datapath.signals(first + b)) : [],
      obstacles: backends.map(() => undefined),
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
    services,
  };
  return { balancer, services, samples, signals: memory, windows: ofPools, packets, flows, traffic };
}
