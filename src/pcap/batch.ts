/** Most packets in one batch: enough to make an `await` per batch free, few enough for the arrays to stay in cache. */
export const packetsPerBatch = 8192;

/** Longest packet in bytes: libpcap's own limit on the length of a snapshot. Longer ones mean a damaged file. */
export const packetBytesMax = 256 * 1024;

/** Largest length on the wire that is reported; larger ones, always nonsense, become this. */
export const wireLengthMax = 2 ** 31 - 1;

/**
 * Packets of a capture as parallel arrays; entries 0 to `count` - 1 are valid.
 * The reader reuses one batch: it is valid until the next one is asked for, and only the reader writes to it.
 */
export interface PacketBatch {
  /** The bytes that all packets of the batch point into. */
  readonly data: Uint8Array;
  readonly count: number;
  /** Where each packet starts in `data`. */
  readonly offset: Int32Array;
  /** Bytes of each packet in `data`, 0 to 256 KiB. */
  readonly capturedLength: Int32Array;
  /** Bytes of each packet on the wire, as recorded: below `capturedLength` only in odd files. */
  readonly wireLength: Int32Array;
  /** Time of each packet in whole ns after the reader's `timeBaseS`, exact within 104 days of it; may be negative. */
  readonly timeNs: Float64Array;
  /** LINKTYPE_* number of each packet, https://www.tcpdump.org/linktypes.html. */
  readonly linkType: Int32Array;
  /** Interface of each packet, counted from 0 through all sections of a pcapng file; always 0 in a pcap file. */
  readonly interfaceIndex: Int32Array;
}

/** The reader's side of a {@link PacketBatch}. */
export class BatchBuffer implements PacketBatch {
  data: Uint8Array = new Uint8Array(0);
  count = 0;
  readonly offset = new Int32Array(packetsPerBatch);
  readonly capturedLength = new Int32Array(packetsPerBatch);
  readonly wireLength = new Int32Array(packetsPerBatch);
  readonly timeNs = new Float64Array(packetsPerBatch);
  readonly linkType = new Int32Array(packetsPerBatch);
  readonly interfaceIndex = new Int32Array(packetsPerBatch);
}
