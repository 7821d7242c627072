import { describe, expect, it } from 'vitest';
import { AckAdvance } from '../../src/latency/ack.ts';
import type { Estimator } from '../../src/latency/estimator.ts';
import { tcpAck, tcpFin, tcpSyn } from '../../src/net/packet.ts';
import { Conversation } from './conversation.ts';

/** Half of the way between load balancer and server and back, by way of the client, in microseconds. */
const wayUs = 100;
const handshakeUs = 2 * wayUs;

interface World {
  /** Of the server's clock. */
  tickUs?: number;
  /** Fraction of a tick that has passed when it sees the SYN. */
  phase?: number;
  residenceUs?: (i: number) => number;
  thinkUs?: (i: number) => number;
  requests?: number;
  stamp?: number;
  ppm?: number;
  flow?: number;
}

/** A client with timestamps that asks, gets the response, thinks, and asks again; the ACK waits for the next request. */
function talk(estimator: Estimator, world: World = {}): Conversation {
  const { tickUs = 1000, phase = 0.5, requests = 100, stamp = 7_000_000, ppm = 0, flow = 0 } = world;
  const residence = world.residenceUs ?? (() => 300);
  const think = world.thinkUs ?? ((i) => 20 + (i % 7));
  const stampAt = (us: number) => (stamp + Math.floor(phase + (us * (1 + ppm / 1e6)) / tickUs)) | 0;
  const client = new Conversation({ estimator, timestamps: true, flow });
  client.at(0, { flags: tcpSyn, mss: 1460 }).at(handshakeUs, { ack: 1, tsEcr: stampAt(0) });
  let us = 250;
  let tsEcr = stampAt(0);
  for (let i = 0; i < requests; i++) {
    client.at(us, { bytes: 100, ack: 1 + 200 * i, tsEcr });
    tsEcr = stampAt(us + residence(i));
    us += residence(i) + handshakeUs + think(i);
  }
  return client.at(us, { flags: tcpAck | tcpFin, ack: 1 + 200 * requests, tsEcr });
}

const anEstimator = () => new AckAdvance('server', ['server'], { flows: 64, backends: 1 });
const meanOf = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Flows at all phases of the tick, and the mean of their samples after the first ones. */
function meanOver(world: World, flows = 20): number {
  const estimator = anEstimator();
  const samples: number[] = [];
  for (let flow = 0; flow < flows; flow++) {
    const said = talk(estimator, { ...world, phase: (flow + 0.5) / flows, flow });
    if (flow >= 2) samples.push(...said.of('server'));
  }
  return meanOf(samples);
}

describe('server', () => {
  for (const tickUs of [1, 1000, 4000, 10_000]) {
    it(`learns a tick of ${tickUs} us, and tells residence and handshake without the client's thinking`, () => {
      const mean = meanOver({ tickUs, thinkUs: (i) => 5000 + ((i * 617) % 3000), requests: 60 });
      expect(Math.abs(mean - 300 - handshakeUs)).toBeLessThan(0.15 * tickUs + 20);
    });
  }

  it('sees what the server adds', () => {
    const world = { thinkUs: (i: number) => 5000 + ((i * 617) % 3000) };
    const step = meanOver({ ...world, residenceUs: () => 1300 }) - meanOver(world);
    expect(Math.abs(step - 1000)).toBeLessThan(100);
  });

  it('goes on where timestamps wrap, and over hours', () => {
    expect(Math.abs(meanOver({ stamp: -50 }) - 500)).toBeLessThan(100);
    const estimator = anEstimator();
    for (let flow = 0; flow < 3; flow++) talk(estimator, { flow });
    const hours = talk(estimator, { thinkUs: () => 60e6, requests: 300, phase: 0.5, flow: 3 }).of('server');
    expect(hours.length).toBeGreaterThan(200);
    expect(Math.abs(meanOf(hours.slice(-20)) - 500)).toBeLessThan(600);
  });

  it('follows a clock that is 50 ppm off', () => {
    const world = {
      ppm: 50,
      residenceUs: (i: number) => 100 + ((i * 331) % 400),
      thinkUs: () => 30,
      requests: 4000,
    };
    expect(Math.abs(meanOver(world, 6) - 500)).toBeLessThan(300);
  });

  it('without timestamps, or where the first echo is 0, there is nothing', () => {
    expect(talk(anEstimator(), { stamp: 0, tickUs: 1e9, phase: 0 }).of('server')).toEqual([]);
    const estimator = anEstimator();
    const client = new Conversation({ estimator }).opened();
    for (let i = 0; i < 300; i++) client.at(300 + 500 * i, { bytes: 100, ack: 1 + 200 * i });
    expect(client.of('server')).toEqual([]);
  });

  it('a tick that no server has is none', () => {
    expect(talk(anEstimator(), { tickUs: 333_000, thinkUs: () => 400_000 }).of('server')).toEqual([]);
    expect(talk(anEstimator(), { tickUs: 17 }).of('server')).toEqual([]);
  });

  it('a SYN-ACK whose stamp is rounded down (SYN cookies) is no anchor', () => {
    const estimator = anEstimator();
    for (let flow = 0; flow < 3; flow++) talk(estimator, { flow });
    const client = new Conversation({ estimator, timestamps: true, flow: 3 });
    client.at(0, { flags: tcpSyn, mss: 1460 }).at(200, { ack: 1, tsEcr: 6_999_960 });
    for (let i = 0; i < 100; i++) {
      client.at(250 + 500 * i, {
        bytes: 100,
        ack: 1 + 200 * i,
        tsEcr: 7_000_000 + Math.floor((250 + 500 * i) / 1000),
      });
    }
    expect(client.of('server')).toEqual([]);
  });

  it('an ACK that shows by its echo that it was late is none sent at once, and the flow goes on', () => {
    const both = () => new AckAdvance('ack', ['request', 'server'], { flows: 64, backends: 1 });
    const delayed = (estimator: Estimator, lateUs: number) => {
      talk(estimator, { flow: 1 });
      const client = talk(estimator, { requests: 30, thinkUs: () => 5000 });
      const [us, stamp] = [400_000, 7_000_400];
      client.at(us, { seq: 3001, bytes: 100, tsEcr: 7_000_165 });
      client.at(us + 600 + lateUs, { ack: 6201, tsEcr: stamp });
      const sampled = client.heard.filter((one) => one.us === us + 600 + lateUs);
      client.at(us + 50_000, { bytes: 100, tsEcr: stamp }).at(us + 50_600, { ack: 6401, tsEcr: stamp + 50 });
      return { sampled, after: client.heard.filter((one) => one.us === us + 50_600) };
    };
    expect(delayed(both(), 0).sampled.map(({ latency }) => Math.round(latency))).toEqual([600, 600]);
    for (const lateUs of [3000, 18_000, 30_000]) {
      const { sampled, after } = delayed(both(), lateUs);
      expect(sampled).toEqual([]);
      expect(after.map(({ kind }) => kind)).toEqual(['request', 'server']);
    }
  });

  it('an echo that is out of the possible is dropped', () => {
    const estimator = anEstimator();
    for (let flow = 0; flow < 3; flow++) talk(estimator, { flow });
    const client = new Conversation({ estimator, timestamps: true, flow: 4 });
    client.at(0, { flags: tcpSyn, mss: 1460 }).at(200, { ack: 1, tsEcr: 7_000_000 });
    client.at(250, { bytes: 100, tsEcr: 7_000_000 }).at(750, { bytes: 100, ack: 201, tsEcr: 7_900_000 });
    client.at(1250, { bytes: 100, ack: 401, tsEcr: -1 }).at(1750, { ack: 601, tsEcr: 0 });
    expect(client.of('server')).toEqual([]);
  });
});
