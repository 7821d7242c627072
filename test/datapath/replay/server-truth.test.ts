import { expect, test } from 'vitest';
import { ServerTruth } from '../../../src/datapath/replay/server-truth.ts';
import type { TruthKind } from '../../../src/datapath/replay/truth.ts';
import { tcpRst } from '../../../src/net/packet.ts';
import { ns } from '../../../src/units.ts';
import { packetOf, type Segment, syn, synAck } from './support.ts';

type What = Omit<Segment, 'from' | 'to'>;
const [client, server] = ['192.0.2.1:50000', '198.51.100.1:443'];

/** A conversation on flow 7, all times in microseconds, with what became known, as `kind sent latency`. */
function conversation() {
  const known: string[] = [];
  const truth = new ServerTruth((kind, flow, sentNs, latencyNs) => {
    expect(flow).toBe(7);
    known.push(`${kind} ${sentNs / 1e3} ${latencyNs / 1e3}`);
  });
  /** The latency that is known now; NaN without one. */
  const found = (kind: TruthKind, flow: number, start: number) => {
    let latency = Number.NaN;
    truth.find(kind, flow, start * 1e3, (latencyNs) => {
      latency = latencyNs / 1e3;
    });
    return latency;
  };
  return {
    truth,
    known,
    found,
    opens: (at: number, what: What) =>
      truth.client(packetOf({ from: client, to: server, ...what }), 7, true, ns(at * 1e3)),
    sends: (at: number, what: What) =>
      truth.client(packetOf({ from: client, to: server, ...what }), 7, false, ns(at * 1e3)),
    answers: (at: number, what: What) =>
      truth.server(packetOf({ from: server, to: client, ...what }), 7, ns(at * 1e3)),
  };
}

test('a response takes from the request to the first packet that acknowledges it and has data', () => {
  const { truth, found, known, opens, sends, answers } = conversation();
  opens(0, { flags: syn, seq: 99 });
  answers(30, { flags: synAck, ack: 100 });
  sends(40, { seq: 100 });
  sends(50, { seq: 100, payloadBytes: 10 });
  answers(120, { ack: 110, payloadBytes: 5 });
  answers(130, { ack: 110, payloadBytes: 5 });
  expect(known).toEqual(['handshake 0 30', 'response 50 70']);
  expect(truth.records).toBe(2);
  expect(found('handshake', 7, 0)).toBe(30);
  expect(found('response', 7, 50)).toBe(70);
  expect(found('response', 7, 60)).toBe(70);
  expect(found('response', 7, 49)).toBeNaN();
  expect(found('response', 8, 50)).toBeNaN();
});

test('an acknowledgement without data is not yet the response', () => {
  const { known, opens, answers } = conversation();
  opens(0, { seq: 0, payloadBytes: 10 });
  answers(40, { ack: 10 });
  answers(100, { ack: 10, payloadBytes: 1 });
  expect(known).toEqual(['response 0 100']);
});

test('data that does not acknowledge a request is not its response', () => {
  const { known, opens, sends, answers } = conversation();
  opens(0, { seq: 0, payloadBytes: 10 });
  sends(5, { seq: 10, payloadBytes: 10 });
  answers(40, { ack: 10, payloadBytes: 1 });
  answers(60, { ack: 19, payloadBytes: 1 });
  answers(70, { ack: 20, payloadBytes: 1 });
  expect(known).toEqual(['response 0 40', 'response 5 65']);
});

test('one response can answer several requests', () => {
  const { known, opens, sends, answers } = conversation();
  opens(0, { seq: 0, payloadBytes: 10 });
  sends(5, { seq: 10, payloadBytes: 10 });
  answers(40, { ack: 20, payloadBytes: 1 });
  expect(known).toEqual(['response 0 40', 'response 5 35']);
});

test('a request that was sent again has no truth, the next one has', () => {
  const { found, known, opens, sends, answers } = conversation();
  opens(0, { seq: 0, payloadBytes: 10 });
  sends(200, { seq: 0, payloadBytes: 10 });
  answers(240, { ack: 10, payloadBytes: 1 });
  expect(known).toEqual([]);
  expect(found('response', 7, 0)).toBeNaN();
  sends(300, { seq: 10, payloadBytes: 10 });
  answers(340, { ack: 20, payloadBytes: 1 });
  expect(known).toEqual(['response 300 40']);
});

test('a copy that comes after the response does not take the truth back', () => {
  const { found, opens, sends, answers } = conversation();
  opens(0, { seq: 0, payloadBytes: 10 });
  answers(40, { ack: 10, payloadBytes: 1 });
  sends(50, { seq: 0, payloadBytes: 10 });
  expect(found('response', 7, 0)).toBe(40);
});

test('in an upload, from the third silent answer on, acknowledgements are the responses', () => {
  const { known, opens, sends, answers } = conversation();
  opens(0, { seq: 0, payloadBytes: 10 });
  answers(10, { ack: 10 });
  sends(20, { seq: 10, payloadBytes: 10 });
  answers(30, { ack: 20 });
  sends(40, { seq: 20, payloadBytes: 10 });
  expect(known).toEqual([]);
  answers(50, { ack: 30 });
  sends(60, { seq: 30, payloadBytes: 10 });
  answers(75, { ack: 40 });
  expect(known.slice(-2)).toEqual(['response 40 10', 'response 60 15']);
  answers(80, { ack: 40, payloadBytes: 1 });
  sends(90, { seq: 40, payloadBytes: 10 });
  answers(95, { ack: 50 });
  expect(known.at(-1)).toBe('response 60 15');
});

test('a handshake whose SYN was sent again has no truth, whether before or after the answer', () => {
  const before = conversation();
  before.opens(0, { flags: syn, seq: 9 });
  before.sends(1000, { flags: syn, seq: 9 });
  before.answers(1040, { flags: synAck, ack: 10 });
  expect(before.known).toEqual([]);
  expect(before.found('handshake', 7, 0)).toBeNaN();

  const after = conversation();
  after.opens(0, { flags: syn, seq: 9 });
  after.answers(990, { flags: synAck, ack: 10 });
  after.sends(1000, { flags: syn, seq: 9 });
  after.answers(1040, { flags: synAck, ack: 10 });
  expect(after.found('handshake', 7, 0)).toBeNaN();
});

test('a second SYN-ACK changes nothing', () => {
  const { known, opens, answers } = conversation();
  opens(0, { flags: syn, seq: 9 });
  answers(30, { flags: synAck, ack: 10 });
  answers(1030, { flags: synAck, ack: 10 });
  expect(known).toEqual(['handshake 0 30']);
});

test.each([0xffff_fffb, 0x7fff_fffb])('sequence numbers go on beyond %i', (seq) => {
  const { known, opens, sends, answers } = conversation();
  opens(0, { seq, payloadBytes: 10 });
  answers(40, { ack: seq + 10, payloadBytes: 1 });
  sends(50, { seq: seq + 10, payloadBytes: 10 });
  answers(90, { ack: seq + 20, payloadBytes: 1 });
  expect(known).toEqual(['response 0 40', 'response 50 40']);
});

test('a flow that takes over the number of another one begins anew', () => {
  const { known, opens, sends, answers } = conversation();
  opens(0, { flags: syn, seq: 1_000_000 });
  sends(10, { flags: tcpRst, seq: 1_000_001 });
  opens(1000, { flags: syn, seq: 5 });
  answers(1030, { flags: synAck, ack: 6 });
  opens(2000, { seq: 100, payloadBytes: 10 });
  answers(2040, { ack: 110, payloadBytes: 1 });
  opens(3000, { seq: 50, payloadBytes: 10 });
  answers(3040, { ack: 60, payloadBytes: 1 });
  expect(known).toEqual(['handshake 1000 30', 'response 2000 40', 'response 3000 40']);
});

test('answers of unknown flows have no truth', () => {
  const { known, answers } = conversation();
  answers(0, { ack: 10, payloadBytes: 1 });
  answers(20, { udp: true, payloadBytes: 10 });
  expect(known).toEqual([]);
});

test('UDP has the time from the first datagram after an answer to the next answer', () => {
  const { found, known, opens, sends, answers } = conversation();
  const udp = { udp: true, payloadBytes: 10 };
  opens(10, udp);
  sends(12, udp);
  answers(20, udp);
  answers(21, udp);
  sends(30, udp);
  answers(70, udp);
  expect(known).toEqual(['response 10 10', 'response 30 40']);
  expect(found('response', 7, 30)).toBe(40);
});

test('of very many unanswered segments the latest are remembered', () => {
  const { known, opens, sends, answers } = conversation();
  opens(0, { seq: 0, payloadBytes: 1 });
  for (let i = 1; i < 100; i++) sends(i, { seq: i, payloadBytes: 1 });
  answers(1000, { ack: 100, payloadBytes: 1 });
  expect(known.length).toBe(64);
  expect(known[0]).toBe('response 36 964');
});

test('a truth holds for samples that begin within a second of the request', () => {
  const { found, opens, answers } = conversation();
  opens(0, { seq: 0, payloadBytes: 10 });
  answers(40, { ack: 10, payloadBytes: 1 });
  expect(found('response', 7, 1e6)).toBe(40);
  expect(found('response', 7, 1e6 + 1)).toBeNaN();
});

test('whoever asks before the server answers is told when it does, once', () => {
  const { truth, opens, sends, answers } = conversation();
  const told: number[] = [];
  opens(0, { seq: 0, payloadBytes: 10 });
  sends(5, { seq: 10, payloadBytes: 10 });
  truth.find('response', 7, 3e3, (latencyNs) => told.push(latencyNs / 1e3));
  truth.find('response', 7, 6e3, (latencyNs) => told.push(latencyNs / 1e3));
  expect(told).toEqual([]);
  answers(100, { ack: 10, payloadBytes: 1 });
  expect(told).toEqual([100]);
  answers(120, { ack: 20, payloadBytes: 1 });
  answers(130, { ack: 20, payloadBytes: 1 });
  expect(told).toEqual([100, 115]);
});

test('whoever asks about a request that is then sent again is never told', () => {
  const { truth, opens, sends, answers } = conversation();
  const told: number[] = [];
  opens(0, { seq: 0, payloadBytes: 10 });
  truth.find('response', 7, 0e3, (latencyNs) => told.push(latencyNs / 1e3));
  sends(50, { seq: 0, payloadBytes: 10 });
  answers(100, { ack: 10, payloadBytes: 1 });
  expect(told).toEqual([]);
});

test('a sample whose begin is rounded to just before its request is compared with that request', () => {
  const { found, opens, sends, answers } = conversation();
  opens(0, { seq: 0, payloadBytes: 10 });
  answers(500, { ack: 10, payloadBytes: 1 });
  sends(1000, { seq: 10, payloadBytes: 10 });
  answers(3000, { ack: 20, payloadBytes: 1 });
  expect([999.9, 999.936, 1000].map((start) => found('response', 7, start))).toEqual([500, 2000, 2000]);
});
