import { describe, expect, it } from 'vitest';
import { Conversation } from './conversation.ts';

/**
 * A client with `window` requests of 100 bytes in flight, one per segment, and a server that answers one each `serviceUs` with
 * 200 bytes; each response sets off the next request. The handshake takes 200 us.
 */
function sliding(conversation: Conversation, window: number, serviceUs: number, responses: number) {
  conversation.opened();
  for (let i = 0; i < window; i++) conversation.at(300 + i, { bytes: 100 });
  for (let i = 1; i <= responses; i++) {
    conversation.at(500 + i * serviceUs, { bytes: 100, ack: 1 + 200 * i });
  }
  return conversation;
}

/**
 * Batches of requests, one per segment; the client acknowledges every second response (of the first batch each), and sends the
 * next after the last.
 */
function batches(conversation: Conversation, size: number, serviceUs: number, times: number) {
  conversation.opened();
  let us = 300;
  for (let batch = 0; batch < times; batch++) {
    for (let i = 0; i < size; i++) conversation.at(us + i, { bytes: 100 });
    for (let i = batch === 0 ? 1 : 2; i <= size; i += batch === 0 ? 1 : 2) {
      conversation.at(us + 200 + i * serviceUs, { ack: 1 + 200 * (batch * size + i) });
    }
    us += 207 + size * serviceUs;
  }
  return conversation;
}

describe('several messages in flight', () => {
  it('are answered first in first out', () => {
    const flow = sliding(new Conversation(), 4, 100, 60);
    expect(flow.of('request')).toEqual([]);
    expect(flow.of('pipelined').length).toBeGreaterThan(40);
    expect(new Set(flow.of('pipelined').slice(4))).toEqual(new Set([400]));
  });

  it('are not believed before their number is seen to hold', () => {
    expect(sliding(new Conversation(), 4, 100, 3).samples).toEqual([]);
  });

  it('an ACK of several responses gives the latency of one, taken to have come at even times', () => {
    const samples = batches(new Conversation(), 8, 100, 40).of('pipelined');
    expect(samples.length).toBeGreaterThan(120);
    for (const sample of samples) expect(Math.abs(((sample - 200 + 50) % 100) - 50)).toBeLessThan(10);
    const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
    expect(mean).toBeGreaterThan(600);
    expect(mean).toBeLessThan(700);
  });

  it('a segment sent again silences the rest of what is in flight', () => {
    const flow = sliding(new Conversation(), 4, 100, 60);
    const before = flow.samples.length;
    flow.at(7000, { bytes: 100, seq: 6301 });
    for (let i = 61; i <= 63; i++) flow.at(7000 + i, { ack: 1 + 200 * i });
    expect(flow.samples).toHaveLength(before);
  });

  it('more of them than the flow ever had tells that the count is lost', () => {
    const flow = sliding(new Conversation(), 4, 100, 60);
    const before = flow.samples.length;
    for (let i = 0; i < 20; i++) flow.at(6600 + i, { bytes: 100 });
    for (let i = 61; i <= 90; i++) flow.at(6700 + 100 * i, { ack: 1 + 200 * i });
    expect(flow.samples).toHaveLength(before);
    expect(flow.signals(20_000).inFlight).toBe(0);
  });

  it('messages that wait for the ACK of those before (Nagle) are merged: nothing', () => {
    const flow = new Conversation().opened();
    for (let i = 0; i < 50; i++) {
      const us = 300 + 600 * i;
      flow.at(us, { bytes: i % 2 === 0 ? 100 : 700, ack: 1 + 800 * i });
      for (let j = 1; j < 4; j++) flow.at(us + 250 + 80 * j, { ack: 1 + 800 * i + 200 * j });
    }
    expect(flow.of('pipelined')).toEqual([]);
  });
});

describe('several messages in a segment', () => {
  /** A window of eight requests of 100 bytes in two segments of four, each answered at once when the segment has come. */
  function merged(conversation: Conversation, latency: number, times: number) {
    conversation.opened().at(300, { bytes: 800 });
    conversation.at(300 + latency, { ack: 401 }).at(302 + latency, { ack: 801 });
    conversation.at(305 + latency, { bytes: 400 }).at(315 + latency, { bytes: 400 });
    for (let i = 1; i < times; i++) {
      const us = 300 + latency + (latency + 5) * i;
      conversation.at(us, { ack: 401 + 800 * i }).at(us + 5, { bytes: 400 });
      conversation.at(us + 10, { ack: 801 + 800 * i }).at(us + 15, { bytes: 400 });
    }
    return conversation;
  }

  it('the byte that is a window ahead tells which response set it off', () => {
    const samples = merged(new Conversation(), 700, 40).of('pipelined');
    expect(samples.length).toBeGreaterThan(30);
    for (const sample of samples) expect(Math.abs(sample - 700)).toBeLessThanOrEqual(10);
  });

  it('the first few prove nothing', () => {
    expect(merged(new Conversation(), 700, 4).of('pipelined')).toEqual([]);
    expect(merged(new Conversation(), 700, 12).of('pipelined').length).toBeGreaterThan(0);
  });

  it('a segment lost or sent again on the way is not followed', () => {
    const flow = merged(new Conversation(), 700, 40);
    const before = flow.samples.length;
    const us = 40_000;
    flow.at(us, { bytes: 400, seq: 31_000 });
    flow
      .at(us + 700, { ack: 60_001 })
      .at(us + 705, { bytes: 400 })
      .at(us + 710, { bytes: 400 });
    expect(flow.samples).toHaveLength(before);
  });
});

it('a flow that goes back to one message at a time, with pauses, is measured as such', () => {
  const flow = sliding(new Conversation(), 4, 100, 8).at(2000, { ack: 3001 });
  for (let i = 0; i < 10; i++) {
    const us = 10_000 + 5000 * i;
    flow.at(us, { bytes: 100 }).at(us + 700, { ack: 3201 + 200 * i });
  }
  expect(flow.of('request').slice(-4)).toEqual([700, 700, 700, 700]);
});

it('what was known of the client before it sent several messages at once is not held true after', () => {
  const flow = new Conversation({ timestamps: true }).opened();
  for (let i = 0; i < 3; i++) {
    flow.at(300 + 500 * i, { bytes: 100 }).at(790 + 500 * i, { ack: 201 + 200 * i });
  }
  for (let i = 0; i < 4; i++) flow.at(2000 + i, { bytes: 100 });
  for (let i = 1; i <= 4; i++) flow.at(2500 + i, { ack: 601 + 200 * i });
  const before = flow.samples.length;
  for (let i = 0; i < 20; i++) flow.at(100_000 + 19_000 * i, { bytes: 100, ack: 1401 + 200 * i });
  expect(flow.samples).toHaveLength(before);
});
