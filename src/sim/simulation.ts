import type { Policy } from '../control/policy.ts';
import { signalWord } from '../latency/wheel-signals.ts';
import { avalanche, slotHashIpv4, vipSeedIpv4 } from '../maglev/hash.ts';
import { Balancer, handshakeKind, requestKind } from './balancer.ts';
import { Connections, state } from './connections.ts';
import { draw } from './distribution.ts';
import { EventQueue } from './queue.ts';
import { Random } from './random.ts';
import { Recorder } from './recorder.ts';
import type { Scenario } from './scenario.ts';
import { outcome, Server } from './server.ts';

/** Linux sends a SYN again after 1 s and data after at least 200 ms, each time after twice as long (RFC 6298). */
const synAgainNs = 1e9;
const dataAgainNs = 200e6;
/** A client that was refused or reset connects again after about so long. */
const reconnectNs = 10e6;
/** Clients of a closed loop begin within so long. */
const rampNs = 10e6;
/** What is in flight on a flow of which no packet comes any more is forgotten: an estimator's longest pause. */
const forgottenNs = 2 ** 36;

/** Streams of random numbers: one per server and client from these on. */
const streams = { ticks: 1, servers: 1_000, clients: 10_000 };

/**
 * One run of a scenario under one policy. Time is that of packets at the load balancers; what is between two packets of
 * a connection there, on the way, in the server and in the client, is computed when the first one passes, so that most
 * requests cost one event. With affinity a flow keeps its backend for as long as it lives.
 */
export class Simulation {
  readonly recorder: Recorder;
  readonly balancers: readonly Balancer[];
  /** Requests simulated, and flows begun. */
  requests = 0;
  flows = 0;
  /** Flows that their server's crash ended, and flows whose slot moved where there is no affinity. */
  flowsCrashed = 0;
  flowsBroken = 0;
  /** Open-loop requests that found all connections of their client busy. */
  overflowed = 0;
  readonly #scenario: Scenario;
  readonly #queue = new EventQueue();
  readonly #servers: readonly Server[];
  readonly #connections: Connections;
  readonly #clientRandom: readonly Random[];
  readonly #vipSeed: number;
  /** By how many events each server is taken out. */
  readonly #takenOut: Int32Array;
  /** Events by number: connections, then ticks of load balancers, arrivals of clients, and changes by the operator. */
  readonly #firstTick: number;
  readonly #firstArrival: number;
  readonly #firstOrder: number;
  readonly #orders: readonly Order[];

  /** @param policies makes one for each load balancer */
  constructor(scenario: Scenario, policies: () => Policy, seed: number) {
    this.#scenario = scenario;
    this.#connections = new Connections(scenario, forgottenNs);
    this.#servers = scenario.servers.map(
      (_, s) => new Server(scenario, s, new Random(seed, streams.servers + s)),
    );
    this.#clientRandom = scenario.clients.map((_, c) => new Random(seed, streams.clients + c));
    this.balancers = Array.from({ length: scenario.balancers }, () => new Balancer(scenario, policies()));
    this.#vipSeed = vipSeedIpv4(avalanche(seed), 0x0a00_0001, 80, 6);
    this.#takenOut = new Int32Array(scenario.servers.length);
    this.#firstTick = this.#connections.size;
    this.#firstArrival = this.#firstTick + scenario.balancers;
    this.#firstOrder = this.#firstArrival + scenario.clients.length;
    this.#orders = ordersOf(scenario);
    this.#start(new Random(seed, streams.ticks));
    this.recorder = new Recorder(scenario, this.balancers);
  }

  /** Runs until a time, at most the scenario's end. Several calls give the same as one. */
  runUntil(untilNs: number): void {
    const queue = this.#queue;
    const endNs = Math.min(untilNs, this.#scenario.durationNs);
    for (let nowNs = queue.nextNs; nowNs < endNs; nowNs = queue.nextNs) {
      const event = queue.pop();
      if (event < this.#firstTick) this.#connection(event, nowNs);
      else if (event < this.#firstArrival) this.#tick(event - this.#firstTick, nowNs);
      else if (event < this.#firstOrder) this.#arrive(event - this.#firstArrival, nowNs);
      else this.#obey(this.#orders[event - this.#firstOrder]!);
    }
  }

  /** Runs to the end. */
  run(): void {
    this.runUntil(this.#scenario.durationNs);
    this.recorder.finish(this.#scenario.durationNs);
  }

  #start(random: Random): void {
    const { clients, tickNs } = this.#scenario;
    this.#orders.forEach(({ atNs }, o) => {
      this.#queue.push(atNs, this.#firstOrder + o);
    });
    this.balancers.forEach((_, i) => {
      this.#queue.push(tickNs * random.uniform(), this.#firstTick + i);
    });
    clients.forEach(({ rate, fromNs, distanceNs, connections }, client) => {
      const own = this.#clientRandom[client]!;
      if (rate) {
        this.#queue.push(fromNs + distanceNs, this.#firstArrival + client);
        return;
      }
      const first = this.#connections.first(client);
      for (let c = first; c < first + connections; c++) {
        this.#connections.state[c] = state.connect;
        this.#queue.push(fromNs + distanceNs + rampNs * own.uniform(), c);
      }
    });
  }

  #tick(index: number, nowNs: number): void {
    this.#connections.forget(nowNs, this.balancers);
    if (this.balancers[index]!.tick(nowNs)) this.recorder.changed(index, nowNs);
    this.#queue.push(nowNs + this.#scenario.tickNs, this.#firstTick + index);
  }

  /** A server is usable while nobody has taken it out: events may overlap. */
  #obey({ server, usable }: Order): void {
    this.#takenOut[server]! += usable ? -1 : 1;
    for (const balancer of this.balancers) balancer.setUsable(server, this.#takenOut[server] === 0);
  }

  /** An open-loop client has a request, which passes now unless it needs a new connection. */
  #arrive(client: number, nowNs: number): void {
    const { rate, untilNs } = this.#scenario.clients[client]!;
    if (nowNs >= untilNs) return;
    const { everyNs, perSecond } = rate!;
    const perNs = perSecond[Math.min(perSecond.length - 1, Math.floor(nowNs / everyNs))]! / 1e9;
    this.#queue.push(nowNs + this.#clientRandom[client]!.exponential() / perNs, this.#firstArrival + client);
    let idle = this.#connections.takeIdle(client);
    while (idle >= 0 && this.#isOver(idle, nowNs)) {
      this.#connections.setUnused(idle, client);
      idle = this.#connections.takeIdle(client);
    }
    if (idle >= 0) {
      this.#request(idle, nowNs);
      return;
    }
    const fresh = this.#connections.takeUnused(client);
    if (fresh >= 0) this.#connect(fresh, nowNs);
    else this.overflowed++;
  }

  /** The next packet of a connection passes. */
  #connection(c: number, nowNs: number): void {
    const connections = this.#connections;
    switch (connections.state[c]!) {
      case state.connect:
        this.#connect(c, nowNs);
        break;
      case state.synAgain:
        this.#synAgain(c, nowNs);
        break;
      case state.first:
        this.#first(c, nowNs);
        break;
      case state.request:
        if (connections.isWaiting(c)) this.#answered(c, nowNs);
        if (this.#isOver(c, nowNs)) this.#replace(c, nowNs);
        else this.#request(c, nowNs);
        break;
      case state.ack:
        this.#answered(c, nowNs);
        this.#afterAck(c, nowNs);
        break;
      case state.lost:
        this.#lost(c, nowNs);
        break;
      case state.reset:
        this.#abandon(c, nowNs);
        break;
    }
  }

  /** A SYN opens a flow: the load balancer is the one that the network's hash takes it to, the backend that of its slot. */
  #connect(c: number, nowNs: number): void {
    const connections = this.#connections;
    const client = connections.clientOf(c);
    const { distanceNs, timeoutNs, untilNs } = this.#scenario.clients[client]!;
    if (nowNs >= untilNs) return;
    const flow = this.flows++;
    const hash = slotHashIpv4(this.#vipSeed, 0x0a01_0000 + Math.floor(flow / 60_000), 1024 + (flow % 60_000));
    const balancer = this.balancers.length === 1 ? 0 : avalanche(hash ^ 0x5bd1e995) % this.balancers.length;
    const backend = this.balancers[balancer]!.route(hash);
    connections.hash[c] = hash;
    connections.open(
      c,
      balancer,
      backend,
      nowNs,
      this.#scenario.clients[client]!,
      this.#clientRandom[client]!,
    );
    this.balancers[balancer]!.signals[backend]!.count(signalWord.flows);
    const { distanceNs: serverNs } = this.#scenario.servers[backend]!;
    const absence = this.#servers[backend]!.absence(nowNs + serverNs);
    const roundTripNs = 2 * (serverNs + distanceNs);
    if (absence === 0) this.#due(c, state.first, nowNs + roundTripNs);
    else if (absence === outcome.reset) this.#due(c, state.reset, nowNs + roundTripNs);
    else {
      connections.deadlineNs[c] = nowNs + timeoutNs;
      connections.tries[c] = 0;
      this.#due(c, state.synAgain, nowNs + Math.min(synAgainNs, timeoutNs));
    }
  }

  #synAgain(c: number, nowNs: number): void {
    const connections = this.#connections;
    const [balancer, backend] = [connections.balancer[c]!, connections.backend[c]!];
    const client = this.#scenario.clients[connections.clientOf(c)]!;
    const { distanceNs } = this.#scenario.servers[backend]!;
    if (nowNs >= connections.deadlineNs[c]!) {
      this.requests++;
      this.recorder.failed(nowNs, backend, client.timeoutNs);
      this.#replace(c, nowNs);
      return;
    }
    this.balancers[balancer]!.signals[backend]!.count(signalWord.synRetransmits);
    if (this.#servers[backend]!.absence(nowNs + distanceNs) === 0) {
      this.#due(c, state.first, nowNs + 2 * (distanceNs + client.distanceNs));
      return;
    }
    const againNs = synAgainNs * 2 ** ++connections.tries[c]!;
    this.#due(c, state.synAgain, Math.min(nowNs + againNs, connections.deadlineNs[c]!));
  }

  /** The handshake's ACK, with the first request right behind it. */
  #first(c: number, nowNs: number): void {
    const { balancer: balancers, backend: backends, openedNs, tries } = this.#connections;
    const [balancer, backend] = [balancers[c]!, backends[c]!];
    this.balancers[balancer]!.signals[backend]!.count(signalWord.handshakes);
    if (tries[c] === 0) this.#sample(balancer, handshakeKind, backend, nowNs - openedNs[c]!, nowNs);
    this.#request(c, nowNs);
  }

  #request(c: number, nowNs: number): void {
    const connections = this.#connections;
    const [balancer, backend] = [connections.balancer[c]!, connections.backend[c]!];
    const client = this.#scenario.clients[connections.clientOf(c)]!;
    const serverNs = this.#scenario.servers[backend]!.distanceNs;
    const server = this.#servers[backend]!;
    this.requests++;
    connections.left[c]!--;
    connections.setWaiting(c, true);
    this.balancers[balancer]!.signals[backend]!.sent(nowNs);
    connections.sentNs[c] = nowNs;
    if (!this.#scenario.affinity && this.#isElsewhere(c)) {
      this.flowsBroken++;
      this.recorder.failed(nowNs, backend, undefined);
      this.#due(c, state.reset, nowNs + 2 * (serverNs + client.distanceNs));
      return;
    }
    const result = server.serve(nowNs + serverNs);
    const receivedNs = server.finishNs + serverNs + client.distanceNs;
    if (result === outcome.served) {
      this.recorder.served(nowNs, backend, receivedNs - nowNs + client.distanceNs);
      this.#respond(c, receivedNs + client.distanceNs);
      return;
    }
    if (result === outcome.reset) {
      this.recorder.failed(nowNs, backend, undefined);
      this.#due(c, state.reset, receivedNs + client.distanceNs);
      return;
    }
    this.recorder.failed(nowNs, backend, client.timeoutNs);
    connections.deadlineNs[c] = nowNs + client.timeoutNs;
    connections.tries[c] = 0;
    this.#due(c, state.lost, nowNs + Math.min(dataAgainNs, client.timeoutNs));
  }

  /** Whether the slot of a flow has gone to another backend, which would reset it. */
  #isElsewhere(c: number): boolean {
    const { balancer, backend, hash } = this.#connections;
    return this.balancers[balancer[c]!]!.route(hash[c]!) !== backend[c];
  }

  /** The response reaches the client so that a packet sent at once would pass at a time: what is the next packet? */
  #respond(c: number, soonestNs: number): void {
    const connections = this.#connections;
    const client = connections.clientOf(c);
    const { rate, think, ackNs } = this.#scenario.clients[client]!;
    if (rate) {
      this.#due(c, state.ack, soonestNs + ackNs);
      return;
    }
    const thinkNs = draw(think, this.#clientRandom[client]!, soonestNs);
    if (thinkNs <= ackNs) {
      this.#due(c, state.request, soonestNs + thinkNs);
      return;
    }
    connections.deadlineNs[c] = soonestNs + thinkNs;
    this.#due(c, state.ack, soonestNs + ackNs);
  }

  /** A packet shows that the response has come. */
  #answered(c: number, nowNs: number): void {
    const connections = this.#connections;
    const [balancer, backend] = [connections.balancer[c]!, connections.backend[c]!];
    const sentNs = connections.sentNs[c]!;
    const signals = this.balancers[balancer]!.signals[backend]!;
    signals.take(sentNs);
    signals.count(signalWord.responses);
    connections.setWaiting(c, false);
    this.#sample(balancer, requestKind, backend, nowNs - sentNs, nowNs);
  }

  #sample(balancer: number, kind: number, backend: number, latencyNs: number, nowNs: number): void {
    if (this.balancers[balancer]!.sample(kind, backend, latencyNs, nowNs))
      this.recorder.changed(balancer, nowNs);
  }

  #afterAck(c: number, nowNs: number): void {
    const connections = this.#connections;
    const client = connections.clientOf(c);
    if (this.#scenario.clients[client]!.rate === undefined)
      this.#due(c, state.request, connections.deadlineNs[c]!);
    else if (this.#isOver(c, nowNs)) connections.setUnused(c, client);
    else connections.setIdle(c, client);
  }

  /** Nothing comes back: the client sends again, until it gives up or the host is back and knows nothing of the flow. */
  #lost(c: number, nowNs: number): void {
    const connections = this.#connections;
    const [balancer, backend] = [connections.balancer[c]!, connections.backend[c]!];
    const signals = this.balancers[balancer]!.signals[backend]!;
    if (nowNs >= connections.deadlineNs[c]!) {
      signals.count(signalWord.resets);
      signals.take(connections.sentNs[c]!);
      connections.setWaiting(c, false);
      this.flowsCrashed++;
      this.#replace(c, nowNs);
      return;
    }
    signals.count(signalWord.segments);
    signals.count(signalWord.retransmits);
    const { distanceNs } = this.#scenario.servers[backend]!;
    if (this.#servers[backend]!.absence(nowNs + distanceNs) !== outcome.silence) {
      const { distanceNs: clientNs } = this.#scenario.clients[connections.clientOf(c)]!;
      this.#due(c, state.reset, nowNs + 2 * (distanceNs + clientNs));
      return;
    }
    const againNs = dataAgainNs * 2 ** ++connections.tries[c]!;
    this.#due(c, state.lost, Math.min(nowNs + againNs, connections.deadlineNs[c]!));
  }

  /** The server reset the connection. The client sends nothing more on it: to the load balancer it only falls silent. */
  #abandon(c: number, nowNs: number): void {
    const connections = this.#connections;
    const client = connections.clientOf(c);
    if (connections.isWaiting(c)) {
      connections.leave(c, nowNs, this.balancers);
      this.flowsCrashed++;
    } else {
      this.requests++;
      this.recorder.failed(nowNs, connections.backend[c]!, undefined);
    }
    if (this.#scenario.clients[client]!.rate) connections.setUnused(c, client);
    else this.#due(c, state.connect, nowNs + reconnectNs * 2 * this.#clientRandom[client]!.uniform());
  }

  #isOver(c: number, nowNs: number): boolean {
    const connections = this.#connections;
    if (connections.left[c]! <= 0 || nowNs >= connections.endsNs[c]!) return true;
    return nowNs >= this.#scenario.clients[connections.clientOf(c)]!.untilNs;
  }

  /** A connection has ended, and another takes its place. */
  #replace(c: number, nowNs: number): void {
    const client = this.#connections.clientOf(c);
    if (this.#scenario.clients[client]!.rate) this.#connections.setUnused(c, client);
    else this.#connect(c, nowNs);
  }

  #due(c: number, next: number, atNs: number): void {
    this.#connections.state[c] = next;
    this.#queue.push(atNs, c);
  }
}

/** What the operator, or a health check, tells the load balancers. */
interface Order {
  readonly atNs: number;
  readonly server: number;
  readonly usable: boolean;
}

function ordersOf({ events }: Scenario): Order[] {
  return events.flatMap(({ fromNs, untilNs, servers, drained, crash, detectedNs }) => {
    const afterNs = drained ? 0 : crash === undefined ? Number.POSITIVE_INFINITY : detectedNs;
    if (afterNs === Number.POSITIVE_INFINITY) return [];
    return servers.flatMap((server) => [
      { atNs: fromNs + afterNs, server, usable: false },
      { atNs: untilNs + afterNs, server, usable: true },
    ]);
  });
}
