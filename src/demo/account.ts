import type { Lab } from '../lab/lab.ts';
import type { Daemon } from './daemon.ts';

/** What a run's packets came to. */
export interface Account {
  /** Packets at the load balancer by how they left it; only what occurred. */
  readonly packets: Record<string, number>;
  /** Of these, those that went to a server. */
  readonly packets_forwarded: number;
  /** Those for which there was none, and those that went to a server and did not come out of its delay line. */
  readonly packets_lost: number;
  /** Segments that the client or a server sent again because nobody had acknowledged them. */
  readonly retransmissions: number;
}

/** Ways out of the load balancer to a server, and the one for packets that have none. */
const forwardedBy = ['tx', 'redirect'];
const lostBy = 'no_backend';

/** Counts that go on from run to run. */
export interface Counts {
  readonly packets: Readonly<Record<string, number>>;
  /** Frames that the delay lines to the servers passed on. */
  readonly delivered: number;
  readonly retransmissions: number;
}

export async function takeCounts(lab: Lab, daemon: Daemon): Promise<Counts> {
  const [{ packets }, ...retransmissions] = await Promise.all([
    daemon.status(),
    ...[...lab.clients, ...lab.servers].map(async (host) => (await lab.segments(host)).sentAgain),
  ]);
  const delivered = sum(lab.servers.map((server) => lab.delayLine(server)?.forwarded ?? 0));
  return { packets, delivered, retransmissions: sum(retransmissions) };
}

/** What was counted from one moment to another. */
export function accountBetween(from: Counts, to: Counts): Account {
  const packets = Object.fromEntries(
    Object.entries(to.packets)
      .map(([reason, count]) => [reason, count - (from.packets[reason] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );
  const forwarded = sum(forwardedBy.map((reason) => packets[reason] ?? 0));
  return {
    packets,
    packets_forwarded: forwarded,
    // The delay lines also pass on what does not come through the load balancer's program: the ARP of its kernel.
    packets_lost: (packets[lostBy] ?? 0) + Math.max(0, forwarded - (to.delivered - from.delivered)),
    retransmissions: to.retransmissions - from.retransmissions,
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
