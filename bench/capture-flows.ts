import { Forwarder, type ForwarderOptions } from '../src/datapath/capture/forwarder.ts';
import { epochDefault, timeoutsDefault } from '../src/latency/ensemble.ts';
import { samplesPerPrefixDefault } from '../src/latency/prefix.ts';
import { parseEndpoint } from '../src/net/address.ts';
import { ns } from '../src/units.ts';

/** What flows take: resident bytes of each of those held, and growth over many more flows once the table is full. */
export interface FlowMemory {
  readonly active: number;
  readonly bytesPerFlow: number;
  readonly churnBytes: number;
}

/** This file, to be run with the flows to hold, those that fill the table, and those to churn. */
export const script = import.meta.filename;

const portFirst = 16_384;
const ports = 32_768;
const stepNs = 3_000;
const slots = 65_537;

/** A SYN in an Ethernet frame of 60 bytes to 10.0.0.100:80. */
const syn = Buffer.from(
  '0277000900030277000900010800' +
    '4500002e0000000040060000 0a800000 0a000064'.replaceAll(' ', '') +
    '4000005000000001000000005002040000000000000000000000',
  'hex',
);
const sourceAt = 26;
const portAt = 34;

function createForwarder(flows: number): Forwarder {
  const options: ForwarderOptions = {
    vips: [{ endpoint: parseEndpoint('10.0.0.100:80/tcp', 'vip'), backends: 2 }],
    slots,
    flows,
    estimators: ['auto'],
    timeoutsNs: timeoutsDefault,
    epochNs: epochDefault,
    samplesPerPrefix: samplesPerPrefixDefault,
  };
  const forwarder = new Forwarder(options, { sendFrame: () => {}, sendPacket: () => {} });
  forwarder.slots(0).forEach((_, slot, table) => {
    table[slot] = slot & 1;
  });
  const macs = { mac: new Uint8Array(6), sourceMac: new Uint8Array(6) };
  for (const backend of [0, 1]) forwarder.setHop(backend, { encapsulation: 'l2', ...macs });
  forwarder.frame.set(syn);
  return forwarder;
}

/** One new flow after the other, from number `first` on. */
function open(forwarder: Forwarder, first: number, count: number): void {
  const { frame } = forwarder;
  for (let flow = first; flow < first + count; flow++) {
    frame.writeUInt32BE(0x0a80_0000 + Math.floor(flow / ports), sourceAt);
    frame.writeUInt16BE(portFirst + (flow % ports), portAt);
    forwarder.handle(syn.length, false, ns(1e12 + flow * stepNs));
  }
}

/** Compiled code and what it leaves behind are there before memory is looked at. */
function residentBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

function main(held: number, warm: number, churned: number): FlowMemory {
  open(createForwarder(1_000), 0, 200_000);
  const empty = residentBytes();
  const forwarder = createForwarder(held);
  open(forwarder, 0, held);
  const { active } = forwarder.engine.flows;
  const bytesPerFlow = (residentBytes() - empty) / active;
  open(forwarder, held, warm);
  const full = residentBytes();
  open(forwarder, held + warm, churned);
  return { active, bytesPerFlow, churnBytes: residentBytes() - full };
}

if (process.argv[1] === script) {
  const [held, warm, churned] = process.argv.slice(2).map(Number);
  console.log(JSON.stringify(main(held!, warm!, churned!)));
}
