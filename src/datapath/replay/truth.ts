import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { InbandError } from '../../errors.ts';
import { unreadable } from './file-errors.ts';

/** What a latency is the latency of: a connection's handshake, or a request and its response. */
export type TruthKind = 'handshake' | 'response';

/** The kind of truth that a kind of sample estimates. */
export function truthKindOf(kind: string): TruthKind {
  return kind === 'handshake' ? 'handshake' : 'response';
}

/** A sample may begin this long after the request that it is compared with was sent: the way to the load balancer. */
export const truthAgeNsMax = 1e9;

/** Rows that a truth file may have: they are held in memory, 16 bytes each. */
export const truthRowsMax = 20_000_000;

/** True latencies of one client port, in order of sending. */
interface PortTruth {
  readonly sentNs: number[];
  readonly latencyNs: number[];
}

interface Layout {
  readonly pattern: RegExp;
  readonly row: (columns: string[]) => { port: string; kind: TruthKind; sentNs: string; latencyNs: number };
}

/** Known layouts by their header line: that of captures at a real load balancer, and that of client-side request logs. */
const layouts: Record<string, Layout> = {
  't_send_ns,rtt_ns,sport,kind': {
    pattern: /^(\d{1,22}),(\d+),(\d{1,5}),(d|syn|udp)$/,
    row: ([, sentNs, rtt, port, kind]) => ({
      port: port!,
      kind: kind === 'syn' ? 'handshake' : 'response',
      sentNs: sentNs!,
      latencyNs: Number(rtt),
    }),
  },
  'client_port,req_index,t_send_ns,t_first_byte_ns,t_last_byte_ns': {
    pattern: /^(\d{1,5}),\d+,(\d{1,22}),(\d{1,22}),\d+$/,
    row: ([, port, sentNs, firstNs]) => ({
      port: port!,
      kind: 'response',
      sentNs: sentNs!,
      latencyNs: nsSince(firstNs!, secondsOf(sentNs!)) - nsSince(sentNs!, secondsOf(sentNs!)),
    }),
  },
};

/** True latencies from a CSV file (gzipped or not), found by client port and time. */
export class TruthFile {
  readonly source: string;
  records = 0;
  readonly #ports: Record<TruthKind, Map<number, PortTruth>> = { handshake: new Map(), response: new Map() };
  #baseS = 0;

  private constructor(source: string) {
    this.source = source;
  }

  /** @throws InbandError `FILE_UNREADABLE`, or `TRUTH_INVALID` with file and line */
  static async load(path: string): Promise<TruthFile> {
    const truth = new TruthFile(path);
    let layout: Layout | undefined;
    let line = 0;
    for await (const text of await openLines(path)) {
      line++;
      if (text.trim() === '') continue;
      if (!layout) {
        layout = Object.hasOwn(layouts, text.trim()) ? layouts[text.trim()] : undefined;
        if (!layout) throw invalid(path, line, `unknown columns '${text.slice(0, 80)}'`);
        continue;
      }
      const match = layout.pattern.exec(text.trim());
      const row = match ? layout.row(match) : undefined;
      if (!row || row.latencyNs < 0 || Number(row.port) > 65_535) {
        throw invalid(path, line, `not a row of these columns: '${text.slice(0, 80)}'`);
      }
      truth.#add(Number(row.port), row.kind, row.sentNs, row.latencyNs);
    }
    if (!layout) throw invalid(path, 1, 'empty');
    truth.#sort();
    return truth;
  }

  #add(port: number, kind: TruthKind, sent: string, latencyNs: number): void {
    if (this.records === truthRowsMax) {
      throw new InbandError('LIMIT', `${this.source}: more than ${truthRowsMax} rows`, {
        hint: 'split the truth and the capture',
      });
    }
    if (this.records++ === 0) this.#baseS = secondsOf(sent);
    const ports = this.#ports[kind];
    const known = ports.get(port) ?? { sentNs: [], latencyNs: [] };
    ports.set(port, known);
    known.sentNs.push(nsSince(sent, this.#baseS));
    known.latencyNs.push(latencyNs);
  }

  #sort(): void {
    for (const ports of Object.values(this.#ports)) {
      for (const [port, { sentNs, latencyNs }] of ports) {
        const order = sentNs.map((_, i) => i).sort((a, b) => sentNs[a]! - sentNs[b]!);
        ports.set(port, { sentNs: order.map((i) => sentNs[i]!), latencyNs: order.map((i) => latencyNs[i]!) });
      }
    }
  }

  /**
   * Latency in ns of the latest request that the client port sent at or before `startNs` (ns since `baseS`), at most
   * `truthAgeNsMax` before; NaN if there is none.
   */
  find(kind: TruthKind, port: number, startNs: number, baseS: number): number {
    const truth = this.#ports[kind].get(port);
    if (!truth) return Number.NaN;
    const time = startNs + (baseS - this.#baseS) * 1e9;
    const at = sentUntil(truth, time) - 1;
    return at >= 0 && time - truth.sentNs[at]! <= truthAgeNsMax ? truth.latencyNs[at]! : Number.NaN;
  }

  /** Latency in ns of the request that the client port sent nearest to `timeNs`, within `truthAgeNsMax`; NaN without one. */
  nearest(kind: TruthKind, port: number, timeNs: number, baseS: number): number {
    const truth = this.#ports[kind].get(port);
    if (!truth) return Number.NaN;
    const time = timeNs + (baseS - this.#baseS) * 1e9;
    const after = sentUntil(truth, time);
    const distance = (at: number) => Math.abs((truth.sentNs[at] ?? Number.POSITIVE_INFINITY) - time);
    const at = distance(after) < distance(after - 1) ? after : after - 1;
    return distance(at) <= truthAgeNsMax ? truth.latencyNs[at]! : Number.NaN;
  }

  /** When the client port sent its first request after `timeNs`, in ns since `baseS`; infinite if it sent none. */
  firstAfter(kind: TruthKind, port: number, timeNs: number, baseS: number): number {
    const truth = this.#ports[kind].get(port);
    const shift = (this.#baseS - baseS) * 1e9;
    const sentNs = truth?.sentNs[sentUntil(truth, timeNs - shift)];
    return sentNs === undefined ? Number.POSITIVE_INFINITY : sentNs + shift;
  }

  /** All rows: kind, client port, time sent in ns since `baseS`, latency in ns. */
  *rows(baseS: number): Generator<[TruthKind, number, number, number]> {
    const shift = (this.#baseS - baseS) * 1e9;
    for (const kind of ['handshake', 'response'] as const) {
      for (const [port, { sentNs, latencyNs }] of this.#ports[kind]) {
        for (let i = 0; i < sentNs.length; i++) yield [kind, port, sentNs[i]! + shift, latencyNs[i]!];
      }
    }
  }
}

/** How many requests were sent at or before a time. */
function sentUntil({ sentNs }: PortTruth, time: number): number {
  let low = 0;
  let high = sentNs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sentNs[middle]! <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whole seconds of a decimal number of nanoseconds, which a double could not hold. */
function secondsOf(text: string): number {
  return Number(text.slice(0, -9));
}

function nsSince(text: string, baseS: number): number {
  return (secondsOf(text) - baseS) * 1e9 + Number(text.slice(-9));
}

/**
 * Lines of a text file, gzipped if its name says so.
 * @param hint what to say when it cannot be read, if more than to check the path
 * @throws InbandError `FILE_UNREADABLE`, here or while iterating
 */
export async function openLines(path: string, hint?: string): Promise<AsyncIterable<string>> {
  const file = createReadStream(path);
  await new Promise<void>((resolve, reject) => {
    file.once('open', () => resolve());
    file.once('error', (cause) => reject(unreadable(path, cause, hint)));
  });
  return lines(path, file, hint);
}

async function* lines(path: string, file: Readable, hint: string | undefined): AsyncGenerator<string> {
  let failure: unknown;
  const input = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  const reader = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  for (const stream of [file, input]) {
    stream.on('error', (cause) => {
      failure ??= cause;
      reader.close();
    });
  }
  try {
    // Iterating fails with the error of `input`, if it comes first, or else ends as if that were the end of the file.
    for await (const line of reader) yield line;
  } catch (cause) {
    failure ??= cause;
  } finally {
    file.destroy();
  }
  if (failure !== undefined) throw unreadable(path, failure, hint);
}

function invalid(path: string, line: number, what: string): InbandError {
  return new InbandError('TRUTH_INVALID', `${path}:${line}: ${what}`, {
    hint: `the first line must be one of: ${Object.keys(layouts).join(' | ')}`,
  });
}
