import { Balance } from '../src/control/balance.ts';
import { Pool } from '../src/control/pool.ts';
import { inbandHistogram } from '../src/generated/layout.ts';
import { BinWindow, binOf, LiveBins } from '../src/latency/bins.ts';
import { ns } from '../src/units.ts';
import { type BenchResult, type Row, rounded } from './result.ts';

export const name = 'control-step';

const kinds = ['request', 'handshake'];
const ticks = 4_000;
/** Ticks after which code is compiled and every backend has been compared. */
const warm = 2_000;
const samplesPerTick = 20_000;
const targetMs = 1;
const targetBackends = 1_000;

const words = inbandHistogram.size / 4;
const wordOf = (field: keyof typeof inbandHistogram.fields) => inbandHistogram.fields[field].offset / 4;

/** Histograms as the kernel keeps them, and a pool that controls on them. */
class Scene {
  readonly pool: Pool;
  readonly #memory: Uint32Array;
  readonly #windows: readonly (readonly BinWindow[])[];
  readonly #backends: number;
  #next = 0;

  constructor(count: number) {
    const memory = new Uint32Array(kinds.length * count * words);
    const at = (kind: number, backend: number) => (kind * count + backend) * words;
    this.#memory = memory;
    this.#backends = count;
    this.#windows = kinds.map((_, kind) =>
      Array.from({ length: count }, (_, backend) => new BinWindow(new LiveBins(memory, [at(kind, backend)]))),
    );
    const backends = Array.from({ length: count }, (_, i) => ({
      name: `10.0.${i >> 8}.${i & 255}`,
      weight: 1,
    }));
    this.pool = new Pool({ policy: new Balance(), backends, kinds, windows: this.#windows });
  }

  /** Samples of a tick, spread over backends and 200 to 400 us; the first backend takes a millisecond more at times. */
  sample(tick: number): void {
    for (let i = 0; i < samplesPerTick; i++) {
      this.#next = (this.#next + 7919) % (this.#backends * 200);
      const backend = this.#next % this.#backends;
      const slow = backend === 0 && tick % 1000 >= 500 ? 1_000_000 : 0;
      this.#add(backend, 200_000 + 1000 * Math.floor(this.#next / this.#backends) + slow);
    }
  }

  /** What the daemon does at a tick before it publishes. */
  step(tick: number): boolean {
    for (const windows of this.#windows) for (const window of windows) window.update();
    return this.pool.decide(ns(tick * 1e6));
  }

  #add(backend: number, latencyNs: number): void {
    const start = backend * words;
    this.#memory[start + wordOf('count')]!++;
    this.#memory[start + wordOf('sumNs')]! += latencyNs;
    this.#memory[start + wordOf('lastNs')] = latencyNs;
    this.#memory[start + wordOf('bins') + binOf(latencyNs)]!++;
  }
}

function measure(backends: number): Row {
  const scene = new Scene(backends);
  const times: number[] = [];
  const cpu: number[] = [];
  let changes = 0;
  for (let tick = 1; tick <= warm + ticks; tick++) {
    scene.sample(tick);
    const used = process.cpuUsage();
    const start = performance.now();
    const changed = scene.step(tick);
    if (tick <= warm) continue;
    times.push(performance.now() - start);
    const { user, system } = process.cpuUsage(used);
    cpu.push((user + system) / 1e3);
    if (changed) changes++;
  }
  const at = (values: number[], part: number) =>
    rounded(values.toSorted((a, b) => a - b)[Math.floor(part * (values.length - 1))]!);
  return {
    backends,
    ms_p50: at(times, 0.5),
    ms_p90: at(times, 0.9),
    cpu_ms_p50: at(cpu, 0.5),
    cpu_ms_p99: at(cpu, 0.99),
    changes,
  };
}

/** Measures a tick of the control loop without the table. Takes half a minute. */
export function run(): BenchResult {
  const rows = [2, 10, 100, targetBackends].map(measure);
  const worst = Number(rows.at(-1)!.cpu_ms_p99);
  return {
    name,
    rows,
    targets: [
      {
        what: `a step with ${targetBackends} backends, p99 of CPU time, ms`,
        asked: `<= ${targetMs}`,
        measured: String(worst),
        met: worst <= targetMs,
      },
    ],
    notes: [
      `Policy balance, ${samplesPerTick} samples per tick, ${kinds.length} kinds, ${ticks} ticks; the first backend is slowed half of the time.`,
      'By the clock a step is as long as other work on the machine makes it wait, hence CPU time; that of garbage collection is in it.',
      'A step reads the windows, chooses the kind and moves shares. The table that follows is measured by maglev and publish.',
    ],
  };
}
