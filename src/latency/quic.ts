import { ipProtoUdp } from '../net/constants.ts';
import type { Packet } from '../net/packet.ts';
import type { Ns } from '../units.ts';
import type { Emit, Estimator, EstimatorSize } from './estimator.ts';

/** Latencies of this many ticks of 64 ns (2.1 s) and more are no samples. */
const ticksMax = 2 ** 25;

/** A pause of a flow in ns after which its times are worth nothing. */
const pauseNsMax = 2 ** 36;

/** Initials within this many ticks (33 ms) of the one before are one flight; a client waits longer to send one again. */
const flightTicksMax = 2 ** 19;

/** Spin periods in a row that must agree before one is a sample. */
const periodsMin = 3;

/** Smallest payload of a datagram with a client's Initial. */
const initialBytesMin = 1200;

/** Largest connection ID in bytes (RFC 9000, 17.2). */
const idBytesMax = 20;

const initialType = 0;
const handshakeType = 2;

/** What a flow waits for: nothing (not QUIC, or not from its start), the server's first answer, turns of the spin bit. */
const silent = 0;
const initial = 1;
const spinning = 2;

/** Flags of a flow: its handshake is ambiguous; its Initials carried a token; a spin value, a turn is known; the value. */
const ambiguous = 1;
const token = 2;
const valueKnown = 4;
const turnKnown = 8;
const spinBit = 0x20;

/**
 * Latencies that QUIC shows in one direction, both of kind `quic`:
 * - from a client's first Initial to its first packet that the server must have answered: a Handshake packet, or an
 *   Initial sent to the connection ID that the server chose (RFC 9000, 7.2). Path, kernel, and the server's cryptography.
 *   None when an Initial was sent again, after a Retry and after version negotiation (Karn's rule): several were answered.
 * - periods of the spin bit (RFC 9000, 17.4): the client inverts what the server reflects, so each of its turns is a round
 *   trip after the one before. Only of a bit that is alive: `periodsMin` periods in a row of at least half the handshake
 *   whose mean deviation is at most 3/8 of their mean. A period of more than four means was an idle one.
 *
 * Versions 1 and 2 (RFC 9369, which permutes the types), and the drafts with the same header. The fixed bit may be greased
 * (RFC 9287). Where a server reflects without answering the application, the period is that of the path.
 * Latencies are multiples of 64 ns.
 */
export class QuicEstimator implements Estimator {
  readonly name = 'quic';
  readonly kinds = ['quic'];
  readonly bytesPerFlow = 36;
  /** Per flow: time of its last packet in ns; the flow table's own in the kernel. */
  readonly #seenNs: Float64Array;
  /** Per flow, in ticks of 64 ns modulo 2^32: the last Initial, later the last turn of the spin bit. */
  readonly #time: Int32Array;
  /** Per flow: the first four bytes of the connection ID in its Initials, with what follows a shorter one. */
  readonly #id: Int32Array;
  readonly #version: Int32Array;
  /** Per flow, in ticks: the handshake, also an ambiguous one from the last Initial on; mean and deviation of periods. */
  readonly #handshake: Int32Array;
  readonly #mean: Int32Array;
  readonly #deviation: Int32Array;
  readonly #idLength: Uint8Array;
  readonly #state: Uint8Array;
  readonly #flags: Uint8Array;
  /** Per flow: periods in a row that were plausible, up to `periodsMin`. */
  readonly #periods: Uint8Array;

  constructor({ flows }: EstimatorSize) {
    this.#seenNs = new Float64Array(flows);
    this.#time = new Int32Array(flows);
    this.#id = new Int32Array(flows);
    this.#version = new Int32Array(flows);
    this.#handshake = new Int32Array(flows);
    this.#mean = new Int32Array(flows);
    this.#deviation = new Int32Array(flows);
    this.#idLength = new Uint8Array(flows);
    this.#state = new Uint8Array(flows);
    this.#flags = new Uint8Array(flows);
    this.#periods = new Uint8Array(flows);
  }

  open(flow: number, _backend: number, packet: Packet, now: Ns): void {
    this.#seenNs[flow] = now;
    this.#state[flow] = silent;
    if (packet.proto !== ipProtoUdp) return;
    const version = packet.udpWord(1);
    const first = packet.udpByte(0);
    // What tells QUIC from other traffic: a client's first packet is padded and has the fixed bit (RFC 9000, 14.1 and 17.2).
    if ((first & 0xc0) !== 0xc0 || packet.payloadLength < initialBytesMin) return;
    if (longType(first, version) !== initialType) return;
    const hasToken = tokenOf(packet);
    if (hasToken < 0) return;
    this.#state[flow] = initial;
    this.#version[flow] = version;
    this.#time[flow] = Math.floor(now / 64) | 0;
    this.#idLength[flow] = packet.udpByte(5);
    this.#id[flow] = packet.udpWord(6);
    this.#flags[flow] = hasToken * token;
    this.#periods[flow] = 0;
  }

  observe(flow: number, backend: number, packet: Packet, now: Ns, emit: Emit): void {
    const pause = now - this.#seenNs[flow]!;
    if (!(pause >= 0 && pause <= pauseNsMax)) {
      this.open(flow, backend, packet, now);
      return;
    }
    this.#seenNs[flow] = now;
    const state = this.#state[flow]!;
    if (state === silent) return;
    const first = packet.udpByte(0);
    if (first < 0) return;
    const tick = Math.floor(now / 64) | 0;
    if (first < 0x80) {
      if (state === spinning) this.#turn(flow, first & spinBit, tick, emit);
    } else if (state === initial) {
      this.#long(flow, packet, first, tick, emit);
    }
  }

  /** A packet with a long header while the server has not been seen to answer. */
  #long(flow: number, packet: Packet, first: number, tick: number, emit: Emit): void {
    if (packet.udpWord(1) !== this.#version[flow]!) {
      // Version negotiation, or a server that chose another version: a round trip more than one.
      this.#state[flow] = silent;
      return;
    }
    const type = longType(first, this.#version[flow]!);
    const elapsed = (tick - this.#time[flow]!) | 0;
    const isAnswered = packet.udpByte(5) !== this.#idLength[flow]! || packet.udpWord(6) !== this.#id[flow]!;
    if (type === initialType) {
      if (!isAnswered) {
        if (elapsed > flightTicksMax) this.#flags[flow]! |= ambiguous;
        this.#time[flow] = tick;
        return;
      }
      // A Retry is answered by the Initial with the token it gave, to the ID it gave. Of a client that had a token before
      // (NEW_TOKEN), one does not know.
      const hasToken = tokenOf(packet);
      if (hasToken !== 0 || (this.#flags[flow]! & token) !== 0) {
        this.#flags[flow]! |= ambiguous;
        this.#idLength[flow] = packet.udpByte(5);
        this.#id[flow] = packet.udpWord(6);
        this.#time[flow] = tick;
        return;
      }
    } else if (type !== handshakeType) {
      return;
    }
    this.#state[flow] = elapsed > 0 && elapsed < ticksMax ? spinning : silent;
    this.#handshake[flow] = elapsed;
    const isSample = this.#state[flow] === spinning && (this.#flags[flow]! & ambiguous) === 0;
    this.#flags[flow] = 0;
    if (isSample) emit(0, elapsed * 64);
  }

  /** The spin bit's value in a packet with a short header. */
  #turn(flow: number, value: number, tick: number, emit: Emit): void {
    const flags = this.#flags[flow]!;
    if ((flags & valueKnown) !== 0 && (flags & spinBit) === value) return;
    const period = (tick - this.#time[flow]!) | 0;
    // The first value seen is no turn.
    const isTurn = (flags & valueKnown) !== 0;
    this.#flags[flow] = value | valueKnown | (isTurn ? turnKnown : 0);
    this.#time[flow] = tick;
    if ((flags & turnKnown) === 0) return;
    if (period <= 0 || period >= ticksMax || 2 * period < this.#handshake[flow]!) {
      this.#periods[flow] = 0;
    } else if (this.#isAlive(flow, period)) {
      emit(0, period * 64);
    }
  }

  /** Takes in a plausible period; whether it and those before agree. */
  #isAlive(flow: number, period: number): boolean {
    const mean = this.#mean[flow]!;
    if (this.#periods[flow]! > 0 && period >> 2 > mean) {
      this.#periods[flow] = 0;
      return false;
    }
    if (this.#periods[flow] === 0) {
      this.#periods[flow] = 1;
      this.#mean[flow] = period;
      this.#deviation[flow] = period >> 1;
      return false;
    }
    this.#deviation[flow]! += (Math.abs(period - mean) - this.#deviation[flow]!) >> 2;
    this.#mean[flow] = mean + ((period - mean) >> 2);
    if (this.#periods[flow]! < periodsMin) this.#periods[flow]!++;
    return this.#periods[flow] === periodsMin && 8 * this.#deviation[flow]! <= 3 * this.#mean[flow]!;
  }
}

/**
 * Type of a packet with a long header as version 1 numbers it: 0 Initial, 1 0-RTT, 2 Handshake, 3 Retry; -1 of any other
 * packet or version.
 */
function longType(first: number, version: number): number {
  if (first < 0x80) return -1;
  const bits = (first >> 4) & 3;
  // Drafts 22 to 34 have the header of version 1.
  const isV1 = version === 1 || (version >= (0xff000016 | 0) && version <= (0xff000022 | 0));
  if (isV1) return bits;
  return version === 0x6b3343cf ? (bits + 3) & 3 : -1;
}

/** 1 if an Initial carries a token, 0 if not, -1 if that was not captured or its connection IDs are too long. */
function tokenOf(packet: Packet): number {
  const destination = packet.udpByte(5);
  if (destination < 0 || destination > idBytesMax) return -1;
  const source = packet.udpByte(6 + destination);
  if (source < 0 || source > idBytesMax) return -1;
  const length = packet.udpByte(7 + destination + source);
  return length < 0 ? -1 : length === 0 ? 0 : 1;
}
