import { ipProtoTcp } from '../../../net/constants.ts';
import { type Packet, tcpSyn } from '../../../net/packet.ts';
import type { EvalExchanges } from './result.ts';

/** What is known of the turn of a flow. */
interface FlowTurns {
  /** Sequence number after the newest byte from the client. */
  newest: number | undefined;
  /** `asked`: the client has sent data since the server did. */
  phase: 'idle' | 'asked' | 'answered';
  /** Whether a segment of the request was sent again: which one was answered cannot be told. */
  isTainted: boolean;
  /** First sequence numbers of responses that the client has not acknowledged yet. */
  readonly responses: number[];
}

/** Responses remembered per flow until the client acknowledges them. */
const responsesMax = 64;

/**
 * Counts the turns of TCP flows of which both directions are seen: data from the client, then data from the server. A
 * turn is countable from the client's packets alone if its request was sent once and its response acknowledged.
 */
export class Exchanges implements EvalExchanges {
  turns = 0;
  countable = 0;
  readonly #flows = new Map<number, FlowTurns>();

  /** Takes a packet from the client; returns how many turns it makes countable. */
  client(packet: Packet, flow: number, isFirst: boolean): number {
    if (packet.proto !== ipProtoTcp) return 0;
    let turns = isFirst ? undefined : this.#flows.get(flow);
    if (!turns) {
      turns = { newest: undefined, phase: 'idle', isTainted: false, responses: [] };
      this.#flows.set(flow, turns);
    }
    const acknowledged = acknowledgedBy(turns, packet.ack);
    this.countable += acknowledged;
    if (packet.payloadLength > 0 && (packet.tcpFlags & tcpSyn) === 0) ask(turns, packet);
    return acknowledged;
  }

  server(packet: Packet, flow: number): void {
    const turns = this.#flows.get(flow);
    if (turns?.phase !== 'asked' || packet.payloadLength === 0) return;
    turns.phase = 'answered';
    this.turns++;
    if (turns.isTainted || turns.responses.length === responsesMax) return;
    turns.responses.push(packet.seq);
  }
}

function ask(turns: FlowTurns, { seq, payloadLength }: Packet): void {
  const end = (seq + payloadLength) | 0;
  if (turns.newest !== undefined && ((end - turns.newest) | 0) <= 0) {
    turns.isTainted = true;
    return;
  }
  turns.newest = end;
  if (turns.phase !== 'asked') turns.isTainted = false;
  turns.phase = 'asked';
}

function acknowledgedBy(turns: FlowTurns, ack: number): number {
  let count = 0;
  while (turns.responses.length > 0 && ((ack - turns.responses[0]!) | 0) > 0) {
    turns.responses.shift();
    count++;
  }
  return count;
}
