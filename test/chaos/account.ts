import type { ConnectionRecord } from '../../src/lab/load.ts';

/** Why connections of a server may break, and when; times on CLOCK_MONOTONIC in ns. */
export interface Excuse {
  readonly server: string;
  readonly fromNs: number;
  /** Infinite until it is over. */
  toNs: number;
  /** Only connections that began by then are excused, as no later one should have come to that server. */
  begunByNs?: number;
  /** `its server was killed`. */
  readonly cause: string;
}

/** A connection that broke, and the excuse that it has. */
export interface Broken {
  readonly connection: ConnectionRecord;
  /** Undefined: nothing was done to its server. */
  readonly cause: string | undefined;
}

/** What became of all connections. */
export interface Account {
  readonly opened: number;
  readonly completed: number;
  /** Whole at the end of the load. */
  readonly kept: number;
  readonly excused: readonly Broken[];
  readonly unexcused: readonly Broken[];
  readonly answered: number;
  readonly requestsLost: number;
  /** Connections that were whole at the end, or completed, by server. */
  readonly whole: Readonly<Record<string, number>>;
}

const isWhole = ({ end }: ConnectionRecord): boolean => end === 'completed' || end === 'kept';

/**
 * Why a broken connection may have broken: something was done to its server while it lived, and it broke from then on
 * until at most `patienceNs` after that was over. One that never learned its server may have been any one's.
 */
export function excuseOf(
  { server, startedNs, endedNs }: ConnectionRecord,
  excuses: readonly Excuse[],
  patienceNs: number,
): string | undefined {
  return excuses.find(
    (excuse) =>
      (server === '' || server === excuse.server) &&
      endedNs >= excuse.fromNs &&
      endedNs <= excuse.toNs + patienceNs &&
      startedNs <= Math.min(excuse.toNs + patienceNs, excuse.begunByNs ?? Number.POSITIVE_INFINITY),
  )?.cause;
}

/** Every connection is in exactly one of completed, kept, excused and unexcused. */
export function accountOf(
  connections: readonly ConnectionRecord[],
  excuses: readonly Excuse[],
  patienceNs: number,
): Account {
  const broken = connections
    .filter((connection) => !isWhole(connection))
    .map((connection) => ({ connection, cause: excuseOf(connection, excuses, patienceNs) }));
  const whole: Record<string, number> = {};
  for (const { server } of connections.filter(isWhole)) whole[server] = (whole[server] ?? 0) + 1;
  const sum = (of: (connection: ConnectionRecord) => number) =>
    connections.reduce((total, connection) => total + of(connection), 0);
  return {
    opened: connections.length,
    completed: connections.filter(({ end }) => end === 'completed').length,
    kept: connections.filter(({ end }) => end === 'kept').length,
    excused: broken.filter(({ cause }) => cause !== undefined),
    unexcused: broken.filter(({ cause }) => cause === undefined),
    answered: sum(({ answered }) => answered),
    requestsLost: sum(({ lost }) => lost),
    whole,
  };
}

/** One line for a connection that broke, with times since `originNs`. */
export function brokenLine({ connection, cause }: Broken, originNs: number): string {
  const { end, server, port, startedNs, endedNs, answered, lost } = connection;
  const at = (timeNs: number) => `${((timeNs - originNs) / 1e9).toFixed(3)} s`;
  return (
    `port ${port} to ${server || 'a server that never answered'}: ${end} at ${at(endedNs)}, begun at ` +
    `${at(startedNs)}, ${answered} answered, ${lost} lost: ${cause ?? 'NO CAUSE'}`
  );
}
