import { describe, expect, it } from 'vitest';
import { BackendConditions } from '../../src/datapath/conditions.ts';
import { noBackend } from '../../src/datapath/datapath.ts';
import { answered, Engine, refused, unroutable } from '../../src/datapath/engine.ts';
import { FlowTable, flowClosing, flowEstablished, flowNew, flowsMin } from '../../src/flow/table.ts';
import { seededSecret } from '../../src/flow/tabulation.ts';
import { EnsembleTimeout } from '../../src/latency/ensemble.ts';
import { type Emit, type Estimator, latencyNsMax } from '../../src/latency/estimator.ts';
import { FixedTimeout } from '../../src/latency/fixed.ts';
import { Handshake } from '../../src/latency/handshake.ts';
import { PrefixLimit } from '../../src/latency/prefix.ts';
import { Packet, tcpAck, tcpFin, tcpPsh, tcpRst, tcpSyn } from '../../src/net/packet.ts';
import { ns } from '../../src/units.ts';
import { buildFrame, ip } from '../support/frames.ts';

interface Sent {
  src?: string;
  srcPort?: number;
  seq?: number;
  flags?: number;
  vip?: number;
  now?: number;
  proto?: 'tcp' | 'udp';
}

interface Sample {
  kind: string;
  latencyNs: number;
  srcPort: number;
  vip: number;
  backend: number;
  now: number;
}

/** An engine whose new flows go to `world.next`, and all that it says. */
function aWorld(
  estimators: Estimator[] = [],
  capacity = flowsMin,
  limit?: PrefixLimit,
  conditions?: BackendConditions,
) {
  const flows = new FlowTable(capacity, seededSecret(1));
  const samples: Sample[] = [];
  const assigned: number[] = [];
  const world = { next: 0 };
  const packet = new Packet();
  const engine: Engine = new Engine(
    flows,
    estimators,
    (_packet, vip) => {
      assigned.push(vip);
      return world.next;
    },
    (kind, latencyNs, { srcPort }, vip, backend, now) => {
      samples.push({ kind: engine.kinds[kind]!, latencyNs, srcPort, vip, backend, now });
    },
    limit,
    conditions?.bits,
  );
  /** Forwards one packet and returns its backend. */
  const send = (sent: Sent): number => {
    const {
      src = '10.0.0.1',
      srcPort = 4000,
      seq = 1,
      flags = tcpAck,
      vip = 0,
      now = 0,
      proto = 'tcp',
    } = sent;
    const dst = ip(src.includes(':') ? '2001:db8::80' : '192.0.2.80');
    const transport =
      proto === 'tcp'
        ? { tcp: { srcPort, dstPort: 80, seq, ack: 0, flags } }
        : { udp: { srcPort, dstPort: 80 } };
    const data = buildFrame({ src: ip(src), dst, ...transport });
    expect(packet.decode(data, 0, data.length, data.length, 1)).toBe(0);
    return engine.forward(packet, vip, ns(now));
  };
  return { engine, flows, samples, assigned, world, send };
}

/** An estimator that samples whatever it is told at every later packet, and keeps a record of what it sees. */
class Scripted implements Estimator {
  readonly name = 'scripted';
  readonly kinds = ['scripted:a', 'scripted:b'];
  readonly bytesPerFlow = 3;
  readonly seen: string[] = [];
  readonly script: [kind: number, latencyNs: number][] = [];

  open(flow: number): void {
    this.seen.push(`open ${flow}`);
  }

  observe(flow: number, backend: number, _packet: Packet, _now: number, emit: Emit): void {
    this.seen.push(`observe ${flow} to ${backend}`);
    for (const [kind, latencyNs] of this.script) emit(kind, latencyNs);
  }
}

/** An estimator that tells which flows ended. */
class Ending implements Estimator {
  readonly name = 'ending';
  readonly kinds = ['ending', 'server'];
  readonly bytesPerFlow = 0;
  readonly ended: string[] = [];
  open(): void {}
  observe(_flow: number, _backend: number, _packet: Packet, _now: number, emit: Emit): void {
    emit(0, -1);
    emit(1, -1);
  }

  close(flow: number, backend: number): void {
    this.ended.push(`${flow} of ${backend}`);
  }
}

describe('the end of a flow', () => {
  it('is told once, with the backend, however it ends', () => {
    const ending = new Ending();
    const { send, world } = aWorld([ending]);
    world.next = 3;
    send({ flags: tcpSyn });
    expect(ending.ended).toEqual([]);
    send({ flags: tcpRst });
    expect(ending.ended).toEqual(['0 of 3']);
    send({ flags: tcpSyn, seq: 5 });
    send({ flags: tcpSyn, seq: 6 });
    expect(ending.ended).toEqual(['0 of 3', '0 of 3']);
    send({ flags: tcpAck, now: 3600e9 });
    expect(ending.ended).toHaveLength(3);
  });

  it('is told of a flow that makes room for another', () => {
    const ending = new Ending();
    const { send } = aWorld([ending]);
    for (let port = 1; port <= flowsMin + 1; port++) send({ srcPort: port, flags: tcpSyn });
    expect(ending.ended).toHaveLength(1);
  });
});

it('a sample of a signed kind may be negative, no other', () => {
  const { send, samples, engine } = aWorld([new Ending()]);
  send({ flags: tcpSyn });
  send({});
  expect(samples.map(({ kind, latencyNs }) => [kind, latencyNs])).toEqual([['server', -1]]);
  expect(engine.counters.samplesNegative).toBe(1);
});

it('an engine that counts no signals has zeros', () => {
  const { engine } = aWorld();
  expect(engine.signals(0)).toMatchObject({ requests: 0, inFlight: 0, oldestNs: 0 });
  expect(engine.signals(0).waiting(0)).toBe(0);
});

describe('affinity', () => {
  it('a flow stays with its backend when new flows go elsewhere', () => {
    const { world, send, assigned } = aWorld();
    expect(send({ flags: tcpSyn })).toBe(0);
    world.next = 7;
    expect(send({})).toBe(0);
    expect(send({ flags: tcpAck | tcpPsh })).toBe(0);
    expect(send({ srcPort: 4001, flags: tcpSyn })).toBe(7);
    expect(send({})).toBe(0);
    expect(assigned).toHaveLength(2);
  });

  it('client address, port and vip each make another flow', () => {
    const { world, send, flows } = aWorld();
    const different: Sent[] = [
      {},
      { src: '10.0.0.2' },
      { srcPort: 4001 },
      { vip: 1 },
      { srcPort: 65_535, vip: 65_535 },
    ];
    different.forEach((sent, i) => {
      world.next = i;
      send(sent);
    });
    expect(different.map(send)).toEqual([0, 1, 2, 3, 4]);
    expect(flows.active).toBe(5);
  });

  it('IPv6 clients that differ in any word are different flows', () => {
    const { world, send } = aWorld();
    const clients = ['a00:1::', 'a00:1::1', 'a00:1:0:0:1::', 'a00:1:0:1::', 'ffff:ffff:ffff:ffff::'];
    clients.forEach((src, i) => {
      world.next = i;
      send({ src });
    });
    expect(clients.map((src) => send({ src }))).toEqual([0, 1, 2, 3, 4]);
  });

  it('the vip of a new flow decides who assigns it', () => {
    const { send, assigned } = aWorld();
    send({ vip: 3 });
    send({ vip: 5, proto: 'udp' });
    expect(assigned).toEqual([3, 5]);
  });

  it('UDP packets of one client port are one flow, established by the second', () => {
    const { send, flows, engine } = aWorld();
    send({ proto: 'udp' });
    expect(flows.state(engine.flow)).toBe(flowNew);
    send({ proto: 'udp' });
    expect(flows.active).toBe(1);
    expect(flows.state(engine.flow)).toBe(flowEstablished);
  });
});

describe('the life of a TCP flow', () => {
  it('it is new until a packet other than a SYN follows', () => {
    const { send, flows, engine } = aWorld();
    send({ flags: tcpSyn });
    expect(flows.state(engine.flow)).toBe(flowNew);
    send({ flags: tcpSyn });
    expect(flows.state(engine.flow)).toBe(flowNew);
    send({ flags: tcpAck });
    expect(flows.state(engine.flow)).toBe(flowEstablished);
  });

  it('a SYN on a known 4-tuple with another sequence number starts a new flow', () => {
    const { world, send, flows } = aWorld();
    send({ flags: tcpSyn, seq: 100 });
    send({});
    world.next = 5;
    expect(send({ flags: tcpSyn, seq: 101 })).toBe(5);
    expect(send({})).toBe(5);
    expect(flows.counters).toMatchObject({ created: 2, reopened: 1 });
    expect(flows.active).toBe(1);
  });

  it('a retransmitted SYN does not', () => {
    const { world, send, flows } = aWorld();
    send({ flags: tcpSyn, seq: -100 });
    world.next = 5;
    expect(send({ flags: tcpSyn, seq: -100 })).toBe(0);
    expect(flows.counters).toMatchObject({ created: 1, reopened: 0 });
  });

  it('a SYN-ACK is no SYN', () => {
    const { world, send, flows } = aWorld();
    send({ flags: tcpAck });
    world.next = 5;
    expect(send({ flags: tcpSyn | tcpAck, seq: 77 })).toBe(0);
    expect(flows.counters.reopened).toBe(0);
  });

  it('a SYN on a flow that was seen from its middle on starts a new flow', () => {
    for (const seq of [1, 77]) {
      const { world, send } = aWorld();
      send({ flags: tcpAck, seq: 77 });
      world.next = 5;
      expect(send({ flags: tcpSyn, seq })).toBe(5);
    }
  });

  it('a reset goes to the backend of its flow and ends it', () => {
    const { world, send, flows } = aWorld();
    send({ flags: tcpSyn });
    world.next = 5;
    expect(send({ flags: tcpRst })).toBe(0);
    expect(flows.active).toBe(0);
    expect(flows.counters.closed).toBe(1);
    expect(send({})).toBe(5);
  });

  it('a reset of an unknown flow is routed and makes none', () => {
    const { send, flows, engine } = aWorld();
    send({ srcPort: 9 });
    expect(send({ flags: tcpRst })).toBe(0);
    expect(flows.counters.created).toBe(1);
    expect(engine.flow).toBe(-1);
    expect(engine.counters.untracked).toBe(0);
  });

  it('after a FIN a flow keeps its backend, and is forgotten soon', () => {
    const { world, send, flows, engine } = aWorld();
    send({ flags: tcpSyn });
    send({});
    send({ flags: tcpFin | tcpAck, now: 1e9 });
    expect(flows.state(engine.flow)).toBe(flowClosing);
    world.next = 5;
    expect(send({ flags: tcpAck, now: 11e9 })).toBe(0);
    expect(flows.state(engine.flow)).toBe(flowClosing);
    expect(send({ flags: tcpAck, now: 21e9 + 1 })).toBe(5);
    expect(flows.counters.idle).toBe(1);
  });

  it('an established flow is remembered for 15 minutes of silence', () => {
    const { world, send } = aWorld();
    send({ flags: tcpSyn });
    send({});
    world.next = 5;
    expect(send({ now: 900e9 })).toBe(0);
    expect(send({ now: 1800e9 + 1 })).toBe(5);
  });
});

describe('a full table', () => {
  it('flows without a line are routed by their slot, counted and not measured', () => {
    const scripted = new Scripted();
    scripted.script.push([0, 1]);
    const { world, send, engine, flows, samples } = aWorld([scripted]);
    for (let srcPort = 1; srcPort <= flowsMin; srcPort++) {
      send({ srcPort });
      send({ srcPort });
    }
    samples.length = 0;
    world.next = 5;
    expect(send({ srcPort: 99 })).toBe(5);
    expect(engine.flow).toBe(-1);
    world.next = 6;
    expect(send({ srcPort: 99 })).toBe(6);
    expect(engine.counters.untracked).toBe(2);
    expect(flows.counters.refused).toBe(2);
    expect(samples).toEqual([]);
    expect(send({ srcPort: 1 })).toBe(0);
    expect(samples).toHaveLength(1);
  });
});

/** A world of backends 0 to 9, all of which can be reached; `flow` is one of backend 0, and new ones go to 5. */
function aWorldOfConditions(estimators: Estimator[] = []) {
  const conditions = new BackendConditions();
  for (let backend = 0; backend < 10; backend++) conditions.setReachable(backend, true);
  const made = aWorld(estimators, flowsMin, undefined, conditions);
  made.send({ flags: tcpSyn, seq: 7 });
  made.send({});
  const { flow } = made.engine;
  made.world.next = 5;
  return { ...made, conditions, flow };
}

describe('a backend that cannot be reached', () => {
  it('gets nothing, and its flows are as they were once it can be', () => {
    const scripted = new Scripted();
    const { conditions, send, flows, flow, engine } = aWorldOfConditions([scripted]);
    conditions.setReachable(0, false);
    const { length } = scripted.seen;
    expect(send({ now: 5e9 })).toBe(unroutable);
    expect(send({ now: 5e9, flags: tcpFin | tcpAck })).toBe(unroutable);
    expect(send({ now: 5e9, flags: tcpRst })).toBe(unroutable);
    expect(engine.flow).toBe(-1);
    expect(scripted.seen).toHaveLength(length);
    expect([flows.lastNs[flow], flows.state(flow), flows.active]).toEqual([0, flowEstablished, 1]);
    conditions.setReachable(0, true);
    expect(send({ now: 6e9 })).toBe(0);
  });

  it('begins no flow', () => {
    const { conditions, send, flows } = aWorldOfConditions();
    conditions.setReachable(5, false);
    expect(send({ srcPort: 1, flags: tcpSyn })).toBe(unroutable);
    expect(flows.active).toBe(1);
  });

  it('ends a flow that would begin anew there', () => {
    const { conditions, send, flows } = aWorldOfConditions();
    conditions.setReachable(5, false);
    expect(send({ flags: tcpSyn, seq: 8 })).toBe(unroutable);
    expect(flows.counters).toMatchObject({ created: 1, reopened: 1 });
    expect(flows.active).toBe(0);
  });

  it('is what a slot without a backend is', () => {
    const { world, send } = aWorldOfConditions();
    world.next = noBackend;
    expect(send({ srcPort: 1, flags: tcpSyn })).toBe(unroutable);
    expect(send({})).toBe(0);
  });
});

describe('a lost backend', () => {
  it('keeps its flows where that is their fate', () => {
    const { conditions, send, flows } = aWorldOfConditions();
    conditions.setFate(0, 'resteer');
    conditions.setFate(0, 'keep');
    expect(send({})).toBe(0);
    expect(flows.counters.resteered).toBe(0);
  });

  it('keeps them, whatever their fate, while their slot names it', () => {
    const { conditions, send, world, flows } = aWorldOfConditions();
    world.next = 0;
    for (const fate of ['resteer', 'reset'] as const) {
      conditions.setFate(0, fate);
      expect(send({})).toBe(0);
      expect(send({ srcPort: 99, flags: tcpSyn })).toBe(0);
    }
    conditions.setReachable(0, false);
    expect(send({})).toBe(unroutable);
    expect(flows.counters).toMatchObject({ created: 2, resteered: 0 });
  });

  it('has its flows begin anew with their next packet, of which they then are', () => {
    const scripted = new Scripted();
    const { conditions, send, flows } = aWorldOfConditions([scripted]);
    conditions.setFate(0, 'resteer');
    scripted.seen.length = 0;
    expect([send({}), send({})]).toEqual([5, 5]);
    expect(scripted.seen).toEqual(['open 0', 'observe 0 to 5']);
    expect(flows.counters).toMatchObject({ created: 2, resteered: 1, reopened: 0 });
    expect(flows.active).toBe(1);
  });

  it('has them end where there is no other', () => {
    const { conditions, send, world, flows } = aWorldOfConditions();
    conditions.setFate(0, 'resteer');
    world.next = noBackend;
    expect(send({})).toBe(unroutable);
    expect(flows.counters).toMatchObject({ created: 1, resteered: 1 });
    expect(flows.active).toBe(0);
  });

  it('gets the resets of their clients', () => {
    for (const fate of ['resteer', 'reset'] as const) {
      const { conditions, send, flows } = aWorldOfConditions();
      conditions.setFate(0, fate);
      expect(send({ flags: tcpRst })).toBe(0);
      expect(flows.counters).toMatchObject({ closed: 1, resteered: 0 });
    }
  });

  it('has segments answered until the client is silent, and none of them reach another', () => {
    const { conditions, send, flows, flow, engine } = aWorldOfConditions();
    conditions.setFate(0, 'reset');
    for (const now of [1e9, 10e9, 20e9]) {
      expect(send({ now })).toBe(answered);
      expect(engine.flow).toBe(flow);
      expect([flows.state(flow), flows.lastNs[flow]]).toEqual([flowClosing, now]);
    }
    expect(send({ now: 20e9, flags: tcpSyn | tcpAck })).toBe(answered);
    expect(send({ now: 31e9 })).toBe(5);
    expect(flows.counters).toMatchObject({ created: 2, idle: 1, resteered: 0 });
  });

  it('has no SYN answered by a reset: it begins elsewhere', () => {
    const { conditions, send, flows } = aWorldOfConditions();
    conditions.setFate(0, 'reset');
    expect(send({ flags: tcpSyn, seq: 7 })).toBe(5);
    expect(flows.counters).toMatchObject({ resteered: 1, reopened: 0 });
    conditions.setFate(5, 'reset');
    expect(send({ flags: tcpSyn, seq: 8 })).toBe(5);
    expect(flows.counters).toMatchObject({ resteered: 1, reopened: 1 });
  });

  it('has UDP flows begin anew where those of TCP are reset', () => {
    const { conditions, send, world, flows } = aWorldOfConditions();
    world.next = 1;
    send({ srcPort: 9, proto: 'udp', vip: 1 });
    world.next = 5;
    conditions.setFate(1, 'reset');
    expect(send({ srcPort: 9, proto: 'udp', vip: 1 })).toBe(5);
    expect(flows.counters.resteered).toBe(1);
  });

  it('makes estimators count pauses from the segments that were answered', () => {
    const size = { flows: flowsMin, backends: 10 };
    const timeoutsNs = [10, 100].map(ns);
    const ensemble = new EnsembleTimeout(
      { timeoutsNs, epochNs: ns(1000), cliff: 'smooth', counts: 'backend' },
      size,
    );
    const { conditions, send, samples } = aWorldOfConditions([ensemble, new FixedTimeout(ns(50), size)]);
    conditions.setFate(0, 'reset');
    expect(send({ now: 60 })).toBe(answered);
    conditions.setFate(0, 'keep');
    send({ now: 65 });
    expect(samples).toEqual([]);
    send({ now: 120 });
    expect(samples.map(({ kind, latencyNs }) => [kind, latencyNs])).toEqual([['fixed:50ns', 120]]);
  });
});

describe('a vip that takes no new flows', () => {
  it('refuses them, and keeps those it has', () => {
    const { send, world, flows } = aWorldOfConditions();
    world.next = refused;
    expect(send({ srcPort: 1, flags: tcpSyn })).toBe(refused);
    expect(send({ flags: tcpAck })).toBe(0);
    expect(flows.active).toBe(1);
    expect(send({ flags: tcpSyn, seq: 8 })).toBe(refused);
    expect(flows.active).toBe(0);
  });

  it('has flows of lost backends answered, or ended and refused', () => {
    const { send, world, conditions, flows } = aWorldOfConditions();
    world.next = refused;
    conditions.setFate(0, 'reset');
    expect(send({})).toBe(answered);
    conditions.setFate(0, 'resteer');
    expect(send({})).toBe(refused);
    expect(flows.counters.resteered).toBe(1);
  });
});

describe('conditions', () => {
  it('fate and reach do not touch each other', () => {
    const conditions = new BackendConditions();
    conditions.setFate(3, 'reset');
    conditions.setReachable(3, true);
    conditions.setReachable(3, false);
    expect([conditions.lost[3], conditions.lostCount]).toEqual([1, 1]);
    conditions.setFate(3, 'resteer');
    conditions.setReachable(3, true);
    expect(conditions.lostCount).toBe(1);
    conditions.setFate(3, 'keep');
    expect([conditions.bits[3], conditions.lost[3], conditions.lostCount]).toEqual([0, 0, 0]);
  });

  it('are of backends only: where there is none nothing can be sent', () => {
    const conditions = new BackendConditions();
    for (const number of [-1, noBackend, 70_000, Number.NaN]) {
      expect(() => conditions.setReachable(number, true)).toThrow(RangeError);
      expect(() => conditions.setFate(number, 'keep')).toThrow(RangeError);
    }
    expect(conditions.bits[noBackend]).not.toBe(0);
  });
});

describe('samples', () => {
  it('a sample carries its packet, vip, backend and time', () => {
    const { world, send, samples } = aWorld([new Handshake({ flows: flowsMin, backends: 9 })]);
    world.next = 3;
    send({ srcPort: 4321, flags: tcpSyn, vip: 6, now: 1000 });
    world.next = 8;
    send({ srcPort: 1, flags: tcpSyn, vip: 1, now: 1500 });
    send({ srcPort: 4321, vip: 6, now: 251_000 });
    expect(samples).toEqual([
      { kind: 'handshake', latencyNs: 250_000, srcPort: 4321, vip: 6, backend: 3, now: 251_000 },
    ]);
  });

  it('kinds of all estimators are numbered in order', () => {
    const size = { flows: flowsMin, backends: 1 };
    const scripted = new Scripted();
    const { engine, send, samples } = aWorld([new Handshake(size), scripted, new FixedTimeout(ns(10), size)]);
    expect(engine.kinds).toEqual(['handshake', 'scripted:a', 'scripted:b', 'fixed:10ns']);
    send({ flags: tcpSyn });
    scripted.script.push([1, 42], [0, 41]);
    send({ now: 20 });
    expect(samples.map(({ kind, latencyNs }) => [kind, latencyNs])).toEqual([
      ['handshake', 20],
      ['scripted:b', 42],
      ['scripted:a', 41],
      ['fixed:10ns', 20],
    ]);
  });

  it('negative and too long ones are dropped and counted, the limits themselves are not', () => {
    const scripted = new Scripted();
    const { engine, send, samples } = aWorld([scripted]);
    send({});
    scripted.script.push([0, -1], [0, 0], [0, latencyNsMax], [0, latencyNsMax + 1], [0, -5]);
    send({});
    expect(samples.map(({ latencyNs }) => latencyNs)).toEqual([0, latencyNsMax]);
    expect(engine.counters).toMatchObject({ samplesNegative: 2, samplesTooLong: 1 });
  });

  it('a client prefix adds so many of a kind to a backend and no more, and what is refused is counted', () => {
    const scripted = new Scripted();
    const { engine, send, samples } = aWorld([scripted], flowsMin, new PrefixLimit(3, 1));
    for (const src of ['10.0.0.1', '10.0.0.2', '10.0.1.1']) {
      send({ src });
      scripted.script.push([0, -1], [0, 1], [0, 2], [1, 3]);
      send({ src });
      scripted.script.length = 0;
    }
    // The second client of 10.0.0.0/24 finds one sample left of its first kind; negative ones take nothing.
    expect(samples.map(({ latencyNs }) => latencyNs)).toEqual([1, 2, 3, 1, 3, 1, 2, 3]);
    expect(engine.counters).toMatchObject({ samplesNegative: 3, samplesLimited: 1 });
    send({ src: '10.0.0.1', now: 2 ** 23 });
    scripted.script.push([0, 9]);
    send({ src: '10.0.0.1', now: 2 ** 23 });
    expect(samples.at(-1)!.latencyNs).toBe(9);
  });

  it('time that goes backwards gives a negative sample, which is dropped', () => {
    const { engine, send, samples } = aWorld([new Handshake({ flows: flowsMin, backends: 1 })]);
    send({ flags: tcpSyn, now: 1000 });
    send({ now: 999 });
    expect(samples).toEqual([]);
    expect(engine.counters.samplesNegative).toBe(1);
  });

  it("every packet but a flow's first is observed, with its backend; a reset too", () => {
    const scripted = new Scripted();
    const { world, send } = aWorld([scripted]);
    world.next = 2;
    send({ flags: tcpSyn, seq: 5 });
    send({ flags: tcpSyn, seq: 5 });
    send({});
    send({ srcPort: 9, proto: 'udp' });
    send({ flags: tcpRst });
    send({ flags: tcpRst });
    world.next = 4;
    send({ flags: tcpSyn, seq: 6 });
    send({});
    expect(scripted.seen).toEqual([
      'open 0',
      'observe 0 to 2',
      'observe 0 to 2',
      'open 1',
      'observe 0 to 2',
      'open 0',
      'observe 0 to 4',
    ]);
  });

  it('a flow that took over the number of another is measured from its own first packet', () => {
    const size = { flows: flowsMin, backends: 1 };
    const timeoutsNs = [10, 100].map(ns);
    const { send, samples } = aWorld([
      new Handshake(size),
      new FixedTimeout(ns(10), size),
      new EnsembleTimeout({ timeoutsNs, epochNs: ns(1000), cliff: 'smooth', counts: 'flow' }, size),
    ]);
    send({ flags: tcpSyn });
    send({ flags: tcpRst, now: 5000 });
    samples.length = 0;
    send({ srcPort: 9, flags: tcpAck, now: 9000 });
    send({ srcPort: 9, flags: tcpAck, now: 9020 });
    expect(samples.map(({ kind, latencyNs }) => [kind, latencyNs])).toEqual([['fixed:10ns', 20]]);
  });
});

it('the bytes of a flow are those of the table and of all estimators', () => {
  const { engine, flows } = aWorld([new Scripted(), new Handshake({ flows: flowsMin, backends: 1 })]);
  expect(engine.bytesPerFlow).toBe(flows.bytesPerFlow + 3 + 8);
  expect(flows.bytesPerFlow).toBe(52);
});
