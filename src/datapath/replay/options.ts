import type { Policy } from '../../control/policy.ts';
import type { PoolBackend } from '../../control/pool.ts';
import type { Endpoint } from '../../net/address.ts';
import type { Ns } from '../../units.ts';

/** What a replay does; every field is a flag of `inband replay` and is documented there. */
export interface ReplayOptions {
  /** Captures in order of time: paths, `-` for standard input. */
  readonly files: readonly string[];
  /** Empty: every endpoint that looks like a server. */
  readonly vips: readonly Endpoint[];
  /** Look at server->client packets too, and compare with the truth that both directions give. */
  readonly useServer: boolean;
  /** Names of estimators, see `estimatorUsage`. */
  readonly estimators: readonly string[];
  readonly timeoutsNs: readonly Ns[];
  readonly epochNs: Ns;
  /** `vip`: each vip is its own backend. `table`: Maglev over `backends`. `dst-mac`. Else the path of a CSV file. */
  readonly assign: 'vip' | 'table' | 'dst-mac' | { readonly file: string };
  readonly backends: readonly PoolBackend[];
  readonly policy: Policy;
  /** For the record in the result. */
  readonly alpha: number;
  /** Path of a file with the truth. */
  readonly truth?: string | undefined;
  /** Path of a CSV file to write every sample to. */
  readonly samples?: string | undefined;
  /** Whether points over time are kept for a picture. */
  readonly timeline: boolean;
  /** Flows that the table holds. */
  readonly flows: number;
  /** Idle time after which an established flow is forgotten. */
  readonly flowIdleNs: Ns;
  /** Samples of a kind that one client prefix may add to a backend in 8.4 ms, see `PrefixLimit`; 0, the default: any. */
  readonly samplesPerPrefix?: number;
  /** Called now and then with the bytes read of the current file. */
  readonly onProgress?:
    | ((name: string, bytes: number, sizeBytes: number | undefined, packets: number) => void)
    | undefined;
}
