import type { Address } from '../../net/address.ts';
import { etherTypeIpv4, etherTypeIpv6, ipProtoTcp, ipProtoUdp } from '../../net/constants.ts';
import type { ProbeSource } from '../datapath.ts';

/** `02:77:00:00:00:01` */
export const macText = (mac: Uint8Array): string =>
  [...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

/**
 * The filter that a capture is opened with (pcap-filter(7)): all that `filterProgram` may let pass, whatever the vips. Capturing
 * is promiscuous, so the frame must be for this interface: what a switch floods, frames on their way from another load
 * balancer to a backend among it, is not to be forwarded once more, nor is what this machine sends itself.
 */
export const captureFilter = (mac: Uint8Array, answerArp: boolean): string => {
  const own = `ether dst ${macText(mac)}`;
  return answerArp ? `${own} or arp[6:2] = 1` : own;
};

/** What a capture is to take. */
export interface FilterOptions {
  /** Address of the interface. */
  readonly mac: Uint8Array;
  /** Addresses of vips; one several times counts once. */
  readonly addresses: readonly Address[];
  /** Whether requests for the vips' link addresses are wanted too. */
  readonly answerArp: boolean;
  /** Where replies to probes go. */
  readonly probes: readonly ProbeSource[];
}

/** Instructions of classic BPF (`linux/filter.h`) that are used. */
const loadWord = 0x20;
const loadHalf = 0x28;
const loadByte = 0x30;
const loadHalfAtX = 0x48;
/** X becomes the length of the IPv4 header at this byte. */
const loadHeaderLength = 0xb1;
const jump = 0x05;
const jumpEqual = 0x15;
const jumpGreater = 0x25;
const jumpNotLess = 0x35;
const jumpSet = 0x45;
const give = 0x06;
const instructionBytes = 8;

/** Frames are kept whole. */
const snapBytes = 65_535;
/** Longer programs are not made, as kernels with little room for socket options refuse them: all IP packets for this interface pass then. */
const instructionsMax = 1_000;

const etherTypeArp = 0x0806;
const typeAt = 12;
const ipAt = 14;
const fragmentAt = ipAt + 6;
const fragmentOffsetBits = 0x1fff;
const ipv4ProtoAt = ipAt + 9;
const ipv4TargetAt = ipAt + 16;
const ipv6ProtoAt = ipAt + 6;
const ipv6TargetAt = ipAt + 24;
/** Of IPv6 without extension headers; of IPv4 this far behind its header's length. */
const ipv6PortAt = ipAt + 42;
const portBehindIpv4 = ipAt + 2;
const arpOperationAt = ipAt + 6;
const arpTargetAt = ipAt + 24;
const arpRequest = 1;

/** An instruction, and how many of those behind it are left out when its comparison holds, and when it does not. */
type Instruction = readonly [code: number, value: number, held?: number, failed?: number];

const pass: Instruction = [give, snapBytes];
const drop: Instruction = [give, 0];

/** These in a row; behind the last goes on whoever meets a comparison that fails, or one of `>` or of bits that holds. */
function chain(...parts: readonly Instruction[]): Instruction[] {
  return parts.map(([code, value], i) => {
    const rest = parts.length - 1 - i;
    if (code === jumpGreater || code === jumpSet) return [code, value, rest, 0];
    return code === jumpEqual || code === jumpNotLess ? [code, value, 0, rest] : [code, value];
  });
}

/** What is done with frames of a type, whose number is loaded; the part gives a verdict. */
function ofType(type: number, part: readonly Instruction[]): Instruction[] {
  // Jumps on comparisons reach less far than a part may.
  return [[jumpEqual, type, 1, 0], [jump, part.length], ...part];
}

const u32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;

/** Drops what is not for the interface. */
function forInterface(mac: Uint8Array): Instruction[] {
  const half = u32(Uint8Array.of(0, 0, ...mac.subarray(4)), 0);
  return [[loadWord, 0], [jumpEqual, u32(mac, 0), 0, 2], [loadHalf, 4], [jumpEqual, half, 1, 0], drop];
}

/** Whether a packet is to this address. */
function isTo({ family, words }: Address): Instruction[] {
  const used = family === 4 ? [words[0]] : words;
  const at = family === 4 ? ipv4TargetAt : ipv6TargetAt;
  return used.flatMap((word, i): Instruction[] => [
    [loadWord, at + 4 * i],
    [jumpEqual, word >>> 0],
  ]);
}

/** Passes packets to any of these addresses; a comparison that fails leaves loaded what it compared. */
function toIpv4(addresses: readonly Address[]): Instruction[] {
  return [
    [loadWord, ipv4TargetAt],
    ...addresses.flatMap((address) => chain([jumpEqual, address.words[0] >>> 0], pass)),
  ];
}

/** Whether a packet is of TCP or UDP, or of what has a number in between, to one of these ports. */
function isToPorts(family: number, { portFirst, portLast }: ProbeSource): Instruction[] {
  const port: Instruction[] =
    family === 4
      ? [
          [loadHalf, fragmentAt],
          [jumpSet, fragmentOffsetBits],
          [loadHeaderLength, ipAt],
          [loadHalfAtX, portBehindIpv4],
        ]
      : [[loadHalf, ipv6PortAt]];
  return [
    [loadByte, family === 4 ? ipv4ProtoAt : ipv6ProtoAt],
    [jumpNotLess, ipProtoTcp],
    [jumpGreater, ipProtoUdp],
    ...port,
    [jumpNotLess, portFirst],
    [jumpGreater, portLast],
  ];
}

function packetsOf(family: 4 | 6, { mac, addresses, probes }: FilterOptions): Instruction[] {
  const own = addresses.filter((address) => address.family === family);
  const sources = probes.filter(({ address }) => address.family === family);
  return [
    ...forInterface(mac),
    ...(family === 4 ? toIpv4(own) : own.flatMap((address) => chain(...isTo(address), pass))),
    ...sources.flatMap((source) => chain(...isTo(source.address), ...isToPorts(family, source), pass)),
    drop,
  ];
}

function requestsFor(addresses: readonly Address[]): Instruction[] {
  return [
    ...chain([loadHalf, arpOperationAt], [jumpEqual, arpRequest], [loadWord, arpTargetAt], [jump, 1]),
    drop,
    ...addresses.flatMap((address) => chain([jumpEqual, address.words[0] >>> 0], pass)),
    drop,
  ];
}

/**
 * The filter of a capture as a classic BPF program: frames for this interface that carry packets to vips or replies to probes,
 * and ARP requests for vips.
 */
export function filterProgram(options: FilterOptions): Uint8Array {
  const seen = new Map(options.addresses.map((address) => [`${address.family} ${address.words}`, address]));
  const addresses = [...seen.values()];
  const ipv4 = addresses.filter(({ family }) => family === 4);
  const arp = options.answerArp ? ofType(etherTypeArp, requestsFor(ipv4)) : [];
  const program = [
    ...ofType(etherTypeIpv4, packetsOf(4, { ...options, addresses })),
    ...ofType(etherTypeIpv6, packetsOf(6, { ...options, addresses })),
    ...arp,
    drop,
  ];
  return assemble([[loadHalf, typeAt], ...(program.length < instructionsMax ? program : wide(options))]);
}

/** Lets pass whatever may be for a vip; who captures tells them apart. */
function wide({ mac, answerArp }: FilterOptions): Instruction[] {
  const own = [...forInterface(mac), pass];
  const arp: Instruction[] = [[loadHalf, arpOperationAt], [jumpEqual, arpRequest, 1, 0], drop, pass];
  return [
    ...ofType(etherTypeIpv4, own),
    ...ofType(etherTypeIpv6, own),
    ...(answerArp ? ofType(etherTypeArp, arp) : []),
    drop,
  ];
}

/** `struct sock_filter`, in this machine's byte order, which is little-endian wherever the datapath runs. */
function assemble(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * instructionBytes);
  const view = new DataView(bytes.buffer);
  for (const [i, [code, value, held = 0, failed = 0]] of instructions.entries()) {
    const at = i * instructionBytes;
    view.setUint16(at, code, true);
    view.setUint8(at + 2, held);
    view.setUint8(at + 3, failed);
    view.setUint32(at + 4, value >>> 0, true);
  }
  return bytes;
}
