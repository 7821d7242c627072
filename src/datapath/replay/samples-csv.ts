import { type FileHandle, open } from 'node:fs/promises';
import { InbandError } from '../../errors.ts';
import type { VipTable } from '../../flow/vips.ts';
import { formatAddress, formatProto } from '../../net/address.ts';
import type { Packet } from '../../net/packet.ts';
import type { Ns } from '../../units.ts';

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

/** Nanoseconds since the Unix epoch in decimal: more digits than a double holds. */
function absolute(now: number, baseS: number): string {
  const seconds = baseS + Math.floor(now / 1e9);
  const rest = now - (seconds - baseS) * 1e9;
  return seconds === 0 ? String(rest) : `${seconds}${String(rest).padStart(9, '0')}`;
}

/** A field as RFC 4180 has it. */
function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function unwritable(path: string, cause: unknown): InbandError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new InbandError('FILE_UNWRITABLE', `${path}: ${why}`, {
    hint: 'check the directory and its permissions',
    cause,
  });
}
