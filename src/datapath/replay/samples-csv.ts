import { type FileHandle, open } from 'node:fs/promises';
import type { VipTable } from '../../flow/vips.ts';
import { formatAddress, formatProto } from '../../net/address.ts';
import type { Packet } from '../../net/packet.ts';
import type { Ns } from '../../units.ts';
import { unwritable } from './file-errors.ts';

const header = 'time_ns,kind,latency_ns,client_addr,client_port,vip_addr,vip_port,proto,backend\n';

/** Writes samples as CSV, one row each; `time_ns` is the capture time of the packet that completed the sample. */
export class SamplesCsv {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #kinds: readonly string[];
  readonly #vips: VipTable;
  readonly #vipText: string[] = [];
  #rows = [header];

  private constructor(path: string, file: FileHandle, kinds: readonly string[], vips: VipTable) {
    this.#path = path;
    this.#file = file;
    this.#kinds = kinds;
    this.#vips = vips;
  }

  /** @throws InbandError `FILE_UNWRITABLE` */
  static async create(path: string, kinds: readonly string[], vips: VipTable): Promise<SamplesCsv> {
    const file = await open(path, 'w').catch((cause) => {
      throw unwritable(path, cause);
    });
    return new SamplesCsv(path, file, kinds, vips);
  }

  /** @param baseS whole seconds since the Unix epoch that `now` counts from */
  add(
    kind: number,
    latencyNs: number,
    packet: Packet,
    vip: number,
    backend: string,
    now: Ns,
    baseS: number,
  ): void {
    const client = formatAddress(packet.family, packet.src0, packet.src1, packet.src2, packet.src3);
    this.#rows.push(
      `${absolute(now, baseS)},${this.#kinds[kind]},${latencyNs},${client},${packet.srcPort},${this.#vipColumns(vip)},${quoted(backend)}\n`,
    );
  }

  /** Writes out what was added since; call it often enough that rows do not pile up. */
  async flush(): Promise<void> {
    const text = this.#rows.join('');
    this.#rows = [];
    await this.#file.write(text).catch((cause) => {
      throw unwritable(this.#path, cause);
    });
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #vipColumns(vip: number): string {
    const known = this.#vipText[vip];
    if (known !== undefined) return known;
    const { address, port, proto } = this.#vips.vips[vip]!;
    const text = `${formatAddress(address.family, ...address.words)},${port},${formatProto(proto)}`;
    this.#vipText[vip] = text;
    return text;
  }
}

/** Nanoseconds since the Unix epoch: more digits than a double holds. */
function absolute(now: number, baseS: number): bigint {
  return BigInt(baseS) * 1_000_000_000n + BigInt(now);
}

/** A field as RFC 4180 has it. */
function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
