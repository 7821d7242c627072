/**
 * What the estimators that read ACK numbers keep of a TCP flow, as 32-bit words under `flow * stride`. Times are in units of
 * 64 ns modulo 2^32, durations in units of 64 ns.
 */
export const word = {
  /** One after the highest sequence number sent; the highest ACK number. */
  sndMax: 0,
  ackMax: 1,
  /** When the oldest message in flight was sent; messages in flight. */
  head: 2,
  count: 3,
  flags: 4,
  /** Duration of the handshake; 0 if it is not known. */
  handshake: 5,
  /** Average time from a response to the client's next word. */
  late: 6,
  /** Payload of a full segment, 0 if it is not known; payload of the last one. */
  mss: 7,
  lastBytes: 8,
  /** Whether the flow's pairing is believed; samples in a row that came too early. */
  distrust: 9,
  early: 10,
  /** When the ACK number last advanced; of merged flows, first advanced since the last data. */
  advanceTick: 11,
  /** Bytes sent since nothing was in flight; most of them, and most messages, before any was answered. */
  flightBytes: 12,
  flightBytesMax: 13,
  flightMax: 14,
  /** When the SYN came, and the server's timestamp in its answer. */
  anchorTick: 15,
  anchorStamp: 16,
  /** Bounds of the fraction of the server's tick that had passed at its SYN-ACK, as durations. */
  phaseMin: 17,
  phaseMax: 18,
  /** Votes cast on the server's tick. */
  votes: 19,
  /** Responses that `phaseMin` and `phaseMax` are from, at most `phaseCountMax`. */
  phaseCount: 20,
  /** Lone exchanges since the last message that was none. */
  clean: 21,
  /** Messages since the flow was found to be pipelined; of merged flows, segments found where they were expected. */
  trust: 22,
  /** Size of responses that come again and again, below 2^16, and 2^16 times how often it did. */
  response: 23,
  /** Of flows whose messages are counted: when the others in flight were sent, from `ringAt` on. */
  ringAt: 24,
  ring: 25,
  /** Of merged flows: the segment whose response is awaited, its payload (0: none), and when it was sent. */
  probeSeq: 25,
  probeBytes: 26,
  probeTick: 27,
} as const;

/** Two cache lines; most packets touch the first alone, and those with timestamps both. */
export const stride = 32;

export const flag = {
  /** Opened by a SYN that is not answered; the SYN was sent again. */
  opening: 1,
  synAgain: 2,
  /** The server's clock is known by `anchorTick` and `anchorStamp`. */
  anchored: 4,
  /** Data was sent. */
  asked: 8,
  /** Something in flight was sent again, or is missing. */
  tainted: 16,
  /** The latest message may go on: its last segment was full. */
  unfinished: 32,
  /** The ACK number advanced by a pure ACK since the last data. */
  pureAdvance: 64,
  /** More responses than messages. */
  surplus: 128,
  /** Several messages in flight; messages cannot be counted. */
  pipelined: 256,
  merged: 512,
  /** Messages do not wait for the ACK of those before: no Nagle. */
  eager: 1024,
  /** Nothing was answered since nothing was in flight. */
  flight: 2048,
  /** The last ACK ended within a response. */
  responding: 4096,
  /** Of merged flows: the ACK number advanced since the last data. */
  advanced: 8192,
  /** `phaseMin` and `phaseMax` are known. */
  bounded: 16384,
  /** `late` is known. */
  heard: 32768,
  /** The message in flight was sent after a pause, alone. */
  lone: 65536,
  /** Its packets have timestamps. */
  stamped: 131072,
} as const;
