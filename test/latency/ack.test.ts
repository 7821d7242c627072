import { describe, expect, it } from 'vitest';
import { AckAdvance, ackKinds } from '../../src/latency/ack.ts';
import { tcpAck, tcpFin, tcpRst, tcpSyn } from '../../src/net/packet.ts';
import { Conversation } from './conversation.ts';

/** A closed loop: requests of 100 bytes, responses of 200 that come after `latency`, the next request at once. */
function loop(conversation: Conversation, from: number, latency: number, times: number, ackFrom = 1) {
  for (let i = 0; i <= times; i++) {
    conversation.at(from + i * latency, { bytes: i < times ? 100 : 0, ack: ackFrom + 200 * i });
  }
  return conversation;
}

describe('request', () => {
  it('a response acknowledged by the next request is a sample, from request to request', () => {
    expect(loop(new Conversation().opened(), 300, 500, 3).of('request')).toEqual([500, 500, 500]);
  });

  it('the handshake comes first', () => {
    expect(new Conversation().opened(210).of('handshake')).toEqual([210]);
  });

  it('a pure ACK ends it; the rest of the response is no other one', () => {
    const flow = new Conversation()
      .opened()
      .at(300, { bytes: 100 })
      .at(800, { ack: 2897 })
      .at(801, { ack: 5793 });
    expect(flow.at(850, { ack: 6000, bytes: 100 }).at(1400, { ack: 6200 }).of('request')).toEqual([500, 550]);
  });

  it('a message of several segments counts from its last burst, whatever PSH says', () => {
    const flow = new Conversation()
      .opened()
      .at(300, { bytes: 1460 })
      .at(301, { bytes: 1460 })
      .at(302, { bytes: 50 });
    expect(flow.at(800, { ack: 201 }).of('request')).toEqual([500]);
    const slow = new Conversation()
      .opened()
      .at(300, { bytes: 1460 })
      .at(600, { bytes: 1460 })
      .at(900, { bytes: 50 });
    expect(slow.at(1400, { ack: 201 }).of('request')).toEqual([500]);
  });

  it('full segments of a path with a smaller MSS are one message from the second on', () => {
    const flow = new Conversation()
      .opened()
      .at(300, { bytes: 1360 })
      .at(301, { bytes: 1360 })
      .at(302, { bytes: 10 });
    expect(flow.at(800, { ack: 201 }).samples).toEqual(['request 500']);
  });

  it('an upload gives nothing, as the ACK number stands still', () => {
    const flow = new Conversation().opened();
    for (let i = 0; i < 100; i++) flow.at(300 + 100 * i, { bytes: 1460 });
    expect(flow.samples).toEqual([]);
  });

  it('sequence and ACK numbers wrap', () => {
    const flow = new Conversation({ isn: 2 ** 31 - 150, serverIsn: -100 }).opened();
    expect(loop(flow, 300, 500, 5).of('request')).toEqual([500, 500, 500, 500, 500]);
  });
});

describe('a thinking client', () => {
  it('a pure ACK within 35 ms is believed, one that may have been delayed is not', () => {
    const flow = new Conversation().opened().at(300, { bytes: 100 }).at(30_300, { ack: 201 });
    flow.at(60_000, { bytes: 100 }).at(100_500, { ack: 401 });
    expect(flow.of('request')).toEqual([30_000]);
  });

  it('once seen to think, its requests prove nothing', () => {
    const flow = new Conversation().opened().at(300, { bytes: 100 }).at(800, { ack: 201 });
    flow.at(20_000, { bytes: 100 }).at(45_000, { bytes: 100, ack: 401 }).at(51_000, { bytes: 100, ack: 601 });
    expect(flow.of('request')).toEqual([500]);
  });

  it('that it asks at once is believed for a second or so without a further sign, if its packets have timestamps', () => {
    for (const timestamps of [true, false]) {
      const flow = new Conversation({ timestamps }).opened().at(300, { bytes: 100 }).at(700, { ack: 201 });
      for (let i = 1; i <= 1000; i++) flow.at(310 + 400 * i, { bytes: 100, ack: 1 + 200 * i });
      expect(flow.of('request')).toHaveLength(1000);
      for (let i = 1; i <= 300; i++) flow.at(400_310 + 20_000 * i, { bytes: 100, ack: 200_001 + 200 * i });
      const late = flow.heard.filter(({ kind, us }) => kind === 'request' && us > 2.01e6);
      expect(late).toHaveLength(timestamps ? 0 : 220);
    }
  });

  it('a FIN comes after its thinking, too', () => {
    const flow = new Conversation().opened().at(300, { bytes: 100 }).at(800, { ack: 201 });
    flow.at(20_000, { bytes: 100 }).at(25_000, { flags: tcpAck | tcpFin, ack: 401 });
    expect(flow.of('request')).toEqual([500]);
  });

  it('asking at once again for a while is believed again', () => {
    const flow = new Conversation().opened().at(300, { bytes: 100 }).at(800, { ack: 201 });
    for (let i = 0; i < 40; i++) {
      const us = 20_000 + 1000 * i;
      flow.at(us, { bytes: 100 }).at(us + 500, { ack: 401 + 200 * i });
      flow.at(us + 510, { bytes: 100 }).at(us + 990, { ack: 501 + 200 * i });
    }
    const before = flow.of('request').length;
    flow.at(70_000, { bytes: 100 }).at(70_600, { bytes: 100, ack: 20_001 });
    expect(flow.of('request').slice(before)).toEqual([600]);
  });
});

describe('bad input gives no sample', () => {
  it('a request sent again', () => {
    const flow = new Conversation().opened().at(300, { bytes: 100 }).at(900, { bytes: 100, seq: 1 });
    expect(flow.at(1200, { ack: 201 }).samples).toEqual([]);
    expect(flow.signals(1300)).toMatchObject({ segments: 2, retransmits: 1, inFlight: 0 });
  });

  it('and the next request is measured again', () => {
    const flow = new Conversation().opened().at(300, { bytes: 100 }).at(900, { bytes: 100, seq: 1 });
    expect(loop(flow, 1300, 500, 1, 201).of('request')).toEqual([500]);
  });

  it('a request resent together with new data', () => {
    const flow = new Conversation().opened().at(300, { bytes: 100 }).at(700, { bytes: 150, seq: 1 });
    expect(flow.at(1200, { ack: 201 }).samples).toEqual([]);
  });

  it('a segment lost before the load balancer, and one overtaken', () => {
    const lost = new Conversation().opened().at(300, { bytes: 100, seq: 1461 }).at(800, { ack: 201 });
    expect(lost.samples).toEqual([]);
    const late = new Conversation()
      .opened()
      .at(300, { bytes: 40, seq: 1461 })
      .at(301, { bytes: 1460, seq: 1 });
    expect(late.at(800, { ack: 201 }).samples).toEqual([]);
  });

  it('a keep-alive is no request, and taints none', () => {
    const flow = new Conversation().opened().at(300, { bytes: 100 });
    flow.at(400, { bytes: 1, seq: 100 }).at(500, { seq: 100 }).at(800, { ack: 201 });
    expect(flow.of('request')).toEqual([500]);
    expect(flow.signals(900)).toMatchObject({ requests: 1, retransmits: 0 });
  });

  it('ACKs seen twice, or late, are no news', () => {
    const flow = new Conversation()
      .opened()
      .at(300, { bytes: 100 })
      .at(800, { ack: 201 })
      .at(801, { ack: 201 });
    expect(flow.at(802, { ack: 101 }).at(803, { ack: 201 }).of('request')).toEqual([500]);
  });

  it('an ACK number beyond any window is forged', () => {
    const flow = new Conversation()
      .opened()
      .at(300, { bytes: 100 })
      .at(400, { ack: 2 ** 30 + 10 });
    expect(flow.at(800, { ack: 201 }).of('request')).toEqual([500]);
  });

  it('an answer sooner than the handshake was', () => {
    const flow = new Conversation().opened(1000).at(1100, { bytes: 100 }).at(1200, { ack: 201 });
    expect(flow.samples).toEqual([]);
    expect(loop(flow, 1250, 1500, 2, 201).of('request')).toEqual([1500, 1500]);
  });

  it('an ACK of one byte may be that of a FIN', () => {
    const flow = new Conversation().opened().at(300, { bytes: 100 }).at(800, { ack: 2 });
    expect(flow.samples).toEqual([]);
    expect(loop(flow, 900, 500, 2, 2).of('request')).toEqual([500, 500]);
  });

  it('data in the SYN: what answers it cannot be told', () => {
    const flow = new Conversation().at(0, { flags: tcpSyn, bytes: 100, mss: 1460 }).at(200, { ack: 1 });
    expect(flow.at(210, { bytes: 100, seq: 1 }).at(700, { ack: 201 }).samples).toEqual([]);
    expect(loop(flow, 800, 500, 1, 201).of('request')).toEqual([500]);
  });

  it('a flow seen from its middle on: its first message may be half of one', () => {
    const flow = new Conversation().at(100, { bytes: 100, seq: 5000, ack: 9000 });
    expect(flow.at(500, { bytes: 100, ack: 9200 }).samples).toEqual([]);
    expect(flow.at(1000, { bytes: 100, ack: 9400 }).of('request')).toEqual([500]);
  });

  it('a SYN sent again: the handshake is ambiguous, requests are not', () => {
    const flow = new Conversation().at(0, { flags: tcpSyn, mss: 1460 }).at(1000, { flags: tcpSyn, seq: 0 });
    expect(loop(flow.at(1200, { ack: 1 }), 1300, 500, 1).heard.map(({ kind }) => kind)).toEqual(['request']);
    expect(flow.signals(3000)).toMatchObject({ synRetransmits: 1, handshakes: 1 });
  });

  it('a SYN-ACK, a reset and packets without ACK say nothing of responses', () => {
    const flow = new Conversation().opened().at(300, { bytes: 100 });
    flow.at(400, { flags: tcpSyn | tcpAck, ack: 900 }).at(500, { flags: 0 });
    flow.at(600, { flags: tcpRst | tcpAck, ack: 1000 });
    expect(flow.samples).toEqual([]);
    expect(flow.signals(700).resets).toBe(1);
  });

  it('clocks that step back, and a pause of more than a minute', () => {
    const back = new Conversation().opened().at(300, { bytes: 100 }).at(100, { ack: 201 });
    expect(back.samples).toEqual([]);
    expect(back.signals(400).inFlight).toBe(0);
    const pause = new Conversation().opened().at(300, { bytes: 100 }).at(70e6, { ack: 201 });
    expect(pause.samples).toEqual([]);
    expect(loop(pause, 70e6 + 100, 500, 1, 201).of('request')).toEqual([500]);
  });

  it('UDP, whatever its fields hold', () => {
    const flow = new Conversation({ proto: 17 }).opened();
    expect(loop(flow, 300, 500, 3).heard).toEqual([]);
    expect(flow.signals(3000)).toMatchObject({ flows: 0, requests: 0 });
  });
});

describe('signals', () => {
  it('a request is in flight until it is answered', () => {
    const flow = new Conversation().opened().at(300, { bytes: 100 });
    expect(flow.signals(500)).toMatchObject({
      flows: 1,
      handshakes: 1,
      requests: 1,
      responses: 0,
      inFlight: 1,
    });
    expect(flow.signals(20_300).oldestNs / 1e6).toBeCloseTo(20, -0.5);
    flow.at(30_000, { ack: 201 });
    expect(flow.signals(30_100)).toMatchObject({ requests: 1, responses: 1, inFlight: 0, oldestNs: 0 });
  });

  it('a flow that ends takes its requests back', () => {
    const flow = new Conversation().opened();
    for (const us of [300, 310, 320]) flow.at(us, { bytes: 100 });
    expect(flow.signals(500).inFlight).toBe(3);
    flow.close();
    expect(flow.signals(600)).toMatchObject({ inFlight: 0, responses: 0, oldestNs: 0 });
  });

  it('a number used again starts clean', () => {
    const estimator = new AckAdvance('ack', ackKinds, { flows: 1, backends: 1 });
    const first = new Conversation({ estimator }).opened().at(300, { bytes: 100 });
    first.close();
    const second = new Conversation({ estimator })
      .at(1000, { flags: tcpSyn, mss: 1460 })
      .at(1100, { ack: 1 });
    expect(second.at(1200, { ack: 201 }).samples).toEqual([]);
    expect(second.signals(1300)).toMatchObject({ flows: 2, inFlight: 0 });
  });
});

it('an estimator of one kind emits that kind alone, and the same samples', () => {
  const every = loop(new Conversation().opened(), 300, 500, 5);
  const estimator = new AckAdvance('request', ['request'], { flows: 1, backends: 1 });
  const one = loop(new Conversation({ estimator }).opened(), 300, 500, 5);
  expect(estimator.kinds).toEqual(['request']);
  expect(one.heard).toEqual(every.heard.filter(({ kind }) => kind === 'request'));
});
