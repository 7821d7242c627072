import type { LiveEstimator } from '../src/datapath/datapath.ts';
import { nativeDirectory } from '../src/datapath/xdp/addon.ts';
import { BpfObject, type TestRunOptions } from '../src/datapath/xdp/native.ts';
import { XdpProgram, type XdpProgramOptions } from '../src/datapath/xdp/program.ts';
import { epochDefault, timeoutsDefault } from '../src/latency/ensemble.ts';
import { createTableBuilder } from '../src/maglev/builder.ts';
import { slotsDefault } from '../src/maglev/size.ts';
import { parseEndpoint } from '../src/net/address.ts';
import { etherTypeIpv4, ipProtoTcp } from '../src/net/constants.ts';
import { tcpAck, tcpRst, tcpSyn } from '../src/net/packet.ts';

const backends = 8;
/** The table is made for this many flows, whatever their number is. */
export const flowsMost = 1 << 20;

const vip = parseEndpoint('10.255.0.1:80/tcp', 'vip');

/** A program with one vip whose backends are all behind `ifindex`, the loopback unless told: so it answers XDP_TX. */
export function loadProgram(
  options: Partial<XdpProgramOptions> = {},
  build?: 'inband' | 'inband_test',
  ifindex = 1,
  estimator: LiveEstimator = 'auto',
): XdpProgram {
  const program = XdpProgram.load(
    {
      flows: flowsMost,
      vips: [
        {
          endpoint: vip,
          slots: slotsDefault,
          backends: Array.from({ length: backends }, (_, i) => i),
          estimator,
        },
      ],
      timeoutsNs: timeoutsDefault,
      epochNs: epochDefault,
      cliff: 'smooth',
      ...options,
    },
    build,
  );
  const mac = (last: number) => Uint8Array.of(2, 0, 0, 0, 1, last);
  for (let i = 0; i < backends; i++) program.setBackend(i, { mac: mac(i), sourceMac: mac(255), ifindex });
  const names = Array.from({ length: backends }, (_, i) => ({ name: `10.0.0.${i + 1}:80`, weight: 1 }));
  program.slots(0).set(createTableBuilder(names).createTable());
  return program;
}

/** A frame to the vip with TCP timestamps and so many bytes of data; the wrapper fills in MACs, client and numbers. */
function tcpFrame(flags: number, dataBytes = 0, port = vip.port): Uint8Array {
  const optionBytes = 12;
  const bytes = new Uint8Array(14 + 20 + 20 + optionBytes + dataBytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(12, etherTypeIpv4);
  view.setUint16(14, 0x4500);
  view.setUint16(16, bytes.length - 14);
  view.setUint16(20, 0x4000);
  view.setUint16(22, (64 << 8) | ipProtoTcp);
  view.setUint32(30, vip.address.words[0]);
  view.setUint16(36, port);
  view.setUint16(46, ((20 + optionBytes) << 10) | flags);
  // NOP, NOP, timestamps of 10 bytes.
  view.setUint32(54, 0x0101080a);
  return bytes;
}

export const frames = {
  syn: tcpFrame(tcpSyn),
  ack: tcpFrame(tcpAck),
  /** 74 bytes: a small request. */
  data: tcpFrame(tcpAck, 8),
  rst: tcpFrame(tcpRst),
  toNoVip: tcpFrame(tcpAck, 8, vip.port + 1),
  notIp: tcpFrame(tcpAck, 8).fill(0x08, 12, 14),
} as const;

/** Offset of TCP's data offset and flags. */
const flagsAt = 14 + 20 + 12;

/** Packets of one call of `Wrapper.times`, and of each time that it returns. */
export const packetsPerRun = 1 << 21;
export const packetsPerChunk = 1 << 10;

/** Begins flows as connections do: a SYN of each, then two more packets. The program holds no flows before. */
export function openFlows(wrapper: Wrapper, program: XdpProgram, flows: number): void {
  wrapper.measure(program);
  wrapper.setFlows(flows);
  for (const frame of [frames.syn, frames.ack, frames.data]) wrapper.testRun(frame, { repeat: flows });
  const { active } = program.counters.flows();
  if (active !== flows) throw new Error(`the flow table holds ${active} flows, not ${flows}`);
}

/** Samples that a program has taken, of all kinds and backends. */
export function samplesOf(program: XdpProgram): number {
  let count = 0;
  for (let backend = 0; backend < backends; backend++) {
    for (const kind of program.kinds.keys()) count += program.histogram(backend, kind).count;
  }
  return count;
}

export interface Turns {
  /** Sent instead every other time that as many packets have passed; a power of two from `packetsPerChunk` on. */
  readonly frame: Uint8Array;
  readonly packets: number;
}

/** native/bench/wrap.bpf.c: runs another program on packet after packet of flow after flow. */
export class Wrapper {
  readonly object = BpfObject.load(`${nativeDirectory}../bench/wrap.bpf.o`);
  readonly #memory = new DataView(this.object.memory('.bss'));

  #at(name: string): number {
    return this.object.globals.get(name)!.offset;
  }

  /** What is run from now on: `inband`, or a program of the wrapper's own. */
  measure(program: XdpProgram | string): void {
    if (typeof program === 'string') this.object.setTail('measured', 0, program);
    else this.object.setTail('measured', 0, 'inband', program.object);
  }

  /** Packets come from `count` flows, a power of two, from number `first` on. */
  setFlows(count: number, first = 0): void {
    this.#memory.setUint32(this.#at('flow_first'), first, true);
    this.#memory.setUint32(this.#at('flow_mask'), count - 1, true);
    this.#memory.setUint32(this.#at('flow_bits'), Math.log2(count), true);
  }

  /** Frames that the wrapper's program `sink` has dropped. */
  get received(): number {
    const { offset, size } = this.object.globals.get('received')!;
    let total = 0;
    for (let at = offset; at < offset + size; at += 64) total += Number(this.#memory.getBigUint64(at, true));
    return total;
  }

  testRun(frame: Uint8Array, options: TestRunOptions, turns: Turns = { frame, packets: 0 }): void {
    this.#memory.setUint32(this.#at('odd_bit'), turns.packets, true);
    this.#memory.setUint32(this.#at('answering'), frame === frames.ack ? 1 : 0, true);
    this.#memory.setUint32(this.#at('data_bytes'), frame.length - frames.ack.length, true);
    this.#memory.setUint16(this.#at('even'), frame[flagsAt]! | (frame[flagsAt + 1]! << 8), true);
    this.#memory.setUint16(this.#at('odd'), turns.frame[flagsAt]! | (turns.frame[flagsAt + 1]! << 8), true);
    this.object.testRun('wrap', frame, options);
  }

  /** When chunks of `packetsPerChunk` packets began, of `chunks` of them from the first that was run, in ns. */
  chunkStartsNs(chunks: number): number[] {
    const at = this.#at('chunk_start_ns');
    return Array.from({ length: chunks }, (_, i) => Number(this.#memory.getBigUint64(at + 8 * i, true)));
  }

  /** The number of the next packet, from which its flow follows; its chunk is the first when it is a multiple of 2^22. */
  setPackets(number: number): void {
    this.#memory.setBigUint64(this.#at('packets'), BigInt(number), true);
  }

  /**
   * Runs `packetsPerRun` packets and returns the time per packet in ns of each chunk of them; when packets take turns,
   * of those with `frame` only.
   */
  times(frame: Uint8Array, turns?: Turns): number[] {
    this.setPackets(0);
    this.testRun(frame, { repeat: packetsPerRun }, turns);
    const starts = this.chunkStartsNs(packetsPerRun / packetsPerChunk);
    const isOdd = (chunk: number) => turns && (chunk * packetsPerChunk) & turns.packets;
    return starts
      .slice(1)
      .map((start, chunk) => (isOdd(chunk) ? Number.NaN : (start - starts[chunk]!) / packetsPerChunk))
      .filter((timeNs) => !Number.isNaN(timeNs));
  }

  close(): void {
    this.object.close();
  }
}
