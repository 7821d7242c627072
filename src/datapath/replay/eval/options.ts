import type { Endpoint } from '../../../net/address.ts';
import type { Ns } from '../../../units.ts';

/** What an evaluation does; every field is a flag of `inband eval` and is documented there. */
export interface EvalOptions {
  /** Captures, or folders with captures. */
  readonly paths: readonly string[];
  /** Empty: every endpoint that looks like a server. */
  readonly vips: readonly Endpoint[];
  /** Names of estimators, see `estimatorUsage`. */
  readonly estimators: readonly string[];
  readonly timeoutsNs: readonly Ns[];
  readonly epochNs: Ns;
  /** Compare captures without a truth file with the truth that both of their directions give. */
  readonly useServer: boolean;
  /** Backends of flows: by the capture's `flows.csv`, else each vip is one; or by destination MAC address. */
  readonly assign: 'flows' | 'dst-mac';
  readonly windowNs: Ns;
  /** Flows that the table of each estimator holds. */
  readonly flows: number;
  /** Called now and then with the bytes read of the current capture. */
  readonly onProgress?:
    | ((name: string, bytes: number, sizeBytes: number | undefined, packets: number) => void)
    | undefined;
}

/** All estimators, the paper's in the readings that differ most; FIXEDTIMEOUT by one of its timeouts. */
export const evalEstimators: readonly string[] = [
  'auto',
  'request',
  'pipelined',
  'server',
  'gap',
  'quic',
  'handshake',
  'pirate',
  'ensemble',
  'ensemble:damped',
  'ensemble:infinite:flow',
  'fixed:256us',
];
