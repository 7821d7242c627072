import { onTestFinished } from 'vitest';
import type { LiveEstimator } from '../../src/datapath/datapath.ts';
import { XdpProgram, type XdpProgramOptions, type XdpVip } from '../../src/datapath/xdp/program.ts';
import { inbandFlow, inbandLimit } from '../../src/generated/layout.ts';
import { epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { parseEndpoint } from '../../src/net/address.ts';

/** Verdicts of XDP programs (linux/bpf.h). */
export const xdp = { drop: 1, pass: 2, tx: 3, redirect: 4 } as const;

/** The interface that frames of test runs seem to come from: the loopback. */
export const ingress = 1;

/** Bytes that a test's clock reads first: 0 would mean "never" to the program. */
export const startNs = 1e12;

/** A vip whose backends have numbers from one on, up to the next vip's. */
export interface TestVip extends Omit<XdpVip, 'backends'> {
  readonly firstBackend: number;
}

export const vip = (
  text: string,
  slots = 65_537,
  firstBackend = 0,
  estimator: LiveEstimator = 'ensemble',
): TestVip => ({ endpoint: parseEndpoint(text, 'vip'), slots, firstBackend, estimator });

/** IPv4 address of a backend in tests, as its number says. */
export const addressOf = (backend: number): number => (10 << 24) | (200 << 16) | backend;

/** Vips as the program is told of them, so that backends get their numbers in order. */
export const withBackends = (vips: readonly TestVip[], backends: number): XdpVip[] =>
  vips.map(({ firstBackend, ...vip }, i) => {
    const last = vips[i + 1]?.firstBackend ?? backends;
    return {
      ...vip,
      backends: Array.from({ length: last - firstBackend }, (_, b) => addressOf(firstBackend + b)),
    };
  });

/** The MAC of a backend in tests, which ends with its number. */
export const macOf = (backend: number) => Uint8Array.of(2, 0, 0, 0xbb, backend >> 8, backend & 255);
export const sourceMac = Uint8Array.of(2, 0, 0, 0x1b, 0, 1);

export type TestOptions = Partial<Omit<XdpProgramOptions, 'vips'>> & {
  readonly vips: readonly TestVip[];
  /** Of all vips together. */
  readonly backends: number;
};

/** What the program did with a frame: `backend` is -1 unless it was sent to one. */
export interface Outcome {
  readonly verdict: number;
  readonly backend: number;
  readonly frame: Uint8Array;
}

/** The test build of the program: time and CPU are what the test says. Every backend is reached by the ingress interface. */
export class TestProgram {
  readonly program: XdpProgram;
  readonly #now: Uint32Array;
  readonly #cpu: Uint32Array;
  readonly #out = new Uint8Array(1 << 17);

  constructor({ vips, backends, ...options }: TestOptions) {
    this.program = XdpProgram.load(
      {
        ...{ flows: 4096, timeoutsNs: timeoutsDefault, epochNs: epochDefault, cliff: 'smooth', ...options },
        vips: withBackends(vips, backends),
      },
      'inband_test',
    );
    onTestFinished(() => this.program.close());
    this.#now = this.program.global('test_now_ns');
    this.#cpu = this.program.global('test_cpu');
    for (let backend = 0; backend < backends; backend++) this.route(backend);
  }

  /** Lets a backend be reached. */
  route(backend: number): void {
    this.program.setBackend(backend, { mac: macOf(backend), sourceMac, ifindex: ingress });
  }

  /** Sweeps the whole flow table at a time; how many flows ended. */
  sweep(nowNs: number): number {
    this.#setTime(nowNs);
    let ended = 0;
    for (let set = 0; set < this.program.sets; set += inbandLimit.sweepSetsMax)
      ended += this.program.sweep(set, inbandLimit.sweepSetsMax);
    return ended;
  }

  #setTime(nowNs: number): void {
    this.#now[0] = nowNs % 2 ** 32;
    this.#now[1] = Math.floor(nowNs / 2 ** 32);
  }

  /** Runs the program on a frame at a time on a CPU. The outcome's frame is valid until the next run. */
  run(frame: Uint8Array, nowNs: number, cpu = 0): Outcome {
    this.#setTime(nowNs);
    this.#cpu[0] = cpu;
    const { verdict, packet } = this.program.testRun(frame, { out: this.#out });
    // What is answered goes back to where it came from.
    const isForwarded = verdict === xdp.redirect || (verdict === xdp.tx && isOfBackend(packet));
    return { verdict, backend: isForwarded ? (packet[4]! << 8) | packet[5]! : -1, frame: packet };
  }
}

const isOfBackend = (frame: Uint8Array) =>
  macOf(0)
    .subarray(0, 4)
    .every((byte, i) => byte === frame[i]);

/** Numbers from 0 to 1 that follow from a seed (mulberry32), so that a failure can be seen again. */
export function seededRandom(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A line of the flow table in use. */
export interface FlowLine {
  readonly clientAddress: number;
  readonly clientPort: number;
  readonly backend: number;
  readonly choice: number;
}

/** What the flow table holds: its lines, and the sum of what its sets count as passed by. */
export function flowTable(program: XdpProgram): { lines: FlowLine[]; spilled: number } {
  const view = new DataView(program.object.memory('flows'));
  const { key, backend, choice, spilled } = inbandFlow.fields;
  const table = { lines: [] as FlowLine[], spilled: 0 };
  for (let at = 0; at < view.byteLength; at += inbandFlow.size) {
    table.spilled += view.getUint32(at + spilled.offset, true);
    if (view.getBigUint64(at + key.offset, true) === 0n) continue;
    table.lines.push({
      clientAddress: view.getInt32(at + key.offset),
      clientPort: view.getUint16(at + key.offset + 4),
      backend: view.getUint16(at + backend.offset, true),
      choice: view.getUint8(at + choice.offset),
    });
  }
  return table;
}
