import { describe, expect, test } from 'vitest';
import { Exchanges } from '../../../../src/datapath/replay/eval/exchanges.ts';
import { packetOf, type Segment, syn } from '../support.ts';

const client = '10.0.0.9:4000';
const server = '10.0.0.1:80';

/** The packets of one flow, in order: what each from the client makes countable. */
class Flow {
  readonly exchanges = new Exchanges();
  #isFirst = true;

  request(seq: number, payloadBytes: number, ack: number, more: Partial<Segment> = {}): number {
    const packet = packetOf({ from: client, to: server, seq, payloadBytes, ack, ...more });
    const turns = this.exchanges.client(packet, 7, this.#isFirst);
    this.#isFirst = false;
    return turns;
  }

  response(seq: number, payloadBytes: number): void {
    this.exchanges.server(packetOf({ from: server, to: client, seq, payloadBytes }), 7);
  }

  get counts(): [turns: number, countable: number] {
    return [this.exchanges.turns, this.exchanges.countable];
  }
}

describe('turns of a capture with both directions', () => {
  test('a response is a turn, and countable once the client acknowledges it', () => {
    const flow = new Flow();
    expect(flow.request(100, 10, 500)).toBe(0);
    flow.response(500, 30);
    expect(flow.counts).toEqual([1, 0]);
    expect(flow.request(110, 0, 530)).toBe(1);
    expect(flow.counts).toEqual([1, 1]);
  });

  test('several segments either way are one turn', () => {
    const flow = new Flow();
    flow.request(100, 10, 500);
    flow.request(110, 10, 500);
    flow.response(500, 30);
    flow.response(530, 30);
    flow.request(120, 10, 560);
    expect(flow.counts).toEqual([1, 1]);
  });

  test('an acknowledgement of the request without data is no turn', () => {
    const flow = new Flow();
    flow.request(100, 10, 500);
    flow.response(500, 0);
    flow.request(110, 0, 500);
    expect(flow.counts).toEqual([0, 0]);
  });

  test('what the server says first is nobody’s answer', () => {
    const flow = new Flow();
    flow.request(99, 0, 0, { flags: syn });
    flow.response(500, 30);
    flow.request(100, 10, 530);
    expect(flow.counts).toEqual([0, 0]);
  });

  test('a request that was sent again is a turn, but which one was answered cannot be counted on', () => {
    const flow = new Flow();
    flow.request(100, 10, 500);
    flow.request(100, 10, 500);
    flow.response(500, 30);
    flow.request(110, 10, 530);
    flow.response(530, 30);
    expect(flow.request(120, 0, 560)).toBe(1);
    expect(flow.counts).toEqual([2, 1]);
  });

  test('responses acknowledged together are countable together, across the end of sequence numbers', () => {
    const flow = new Flow();
    flow.request(100, 10, -20);
    flow.response(-20, 15);
    flow.request(110, 10, -20);
    flow.response(-5, 15);
    expect(flow.request(120, 0, 10)).toBe(2);
  });

  test('a flow number that is used again starts anew', () => {
    const exchanges = new Exchanges();
    const request = packetOf({ from: client, to: server, seq: 100, payloadBytes: 10, ack: 500 });
    exchanges.client(request, 7, true);
    exchanges.client(request, 7, true);
    exchanges.server(packetOf({ from: server, to: client, seq: 500, payloadBytes: 5 }), 7);
    expect(exchanges.client(packetOf({ from: client, to: server, seq: 110, ack: 505 }), 7, false)).toBe(1);
  });

  test('UDP has no turns', () => {
    const exchanges = new Exchanges();
    const packet = packetOf({ from: client, to: server, udp: true, payloadBytes: 10 });
    expect(exchanges.client(packet, 7, true)).toBe(0);
    exchanges.server(packetOf({ from: server, to: client, udp: true, payloadBytes: 10 }), 7);
    expect(exchanges.turns).toBe(0);
  });
});
