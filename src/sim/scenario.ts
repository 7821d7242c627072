import type { Distribution } from './distribution.ts';

/** A server behind the vip, as a scenario describes it. Times are one-way where they are distances. */
export interface ServerSpec {
  readonly name: string;
  /** Configured weight, above 0. */
  readonly weight: number;
  /** Time that a request occupies a core, at speed 1. */
  readonly service: Distribution;
  /** Requests served at a time; infinite for a server that only delays. */
  readonly cores: number;
  /** Requests that may wait; further ones are refused with a reset. */
  readonly queueMax: number;
  /** Between load balancer and server. */
  readonly distanceNs: number;
}

/** What servers call while they serve a request, without holding a core: it delays the response. */
export interface DependencySpec {
  readonly name: string;
  readonly latency: Distribution;
  /** Indices of the servers that call it. */
  readonly usedBy: readonly number[];
  /** Fraction of their requests that do. */
  readonly fraction: number;
}

/** Requests per second over time: steps `everyNs` apart, the last of which holds on. */
export interface Rate {
  readonly everyNs: number;
  readonly perSecond: readonly number[];
}

export interface ClientSpec {
  readonly name: string;
  /** Closed loop: so many connections, each with one request at a time. Open loop: at most so many. */
  readonly connections: number;
  /** Open loop: requests arrive at this rate whatever the servers do. */
  readonly rate: Rate | undefined;
  /** Closed loop: between a response and the next request. */
  readonly think: Distribution;
  /** A connection is replaced after this many requests, or when it is this old and has its response. */
  readonly requestsMax: number;
  readonly lifetime: Distribution | undefined;
  /** Between client and load balancer; the way back, which does not pass it, is as long as the way there. */
  readonly distanceNs: number;
  /** How long a response that no request follows waits for its ACK. */
  readonly ackNs: number;
  /** A request without a response for so long has failed. */
  readonly timeoutNs: number;
  /** When it begins and stops to send. */
  readonly fromNs: number;
  readonly untilNs: number;
}

/** Pauses in which no core of a server does anything. */
export interface Stalls {
  /** Mean time from one to the next, exponentially distributed. */
  readonly everyNs: number;
  readonly duration: Distribution;
}

/** Something that is different with some servers for some time. */
export interface EventSpec {
  readonly fromNs: number;
  readonly untilNs: number;
  readonly servers: readonly number[];
  readonly dependencies: readonly number[];
  /** Factor on the speed of the cores. */
  readonly speed: number;
  /** Added to each response, without holding a core. */
  readonly delay: Distribution | undefined;
  readonly stalls: Stalls | undefined;
  /** `reset`: the process is gone, its host answers with RST; `silent`: the host is gone. */
  readonly crash: 'reset' | 'silent' | undefined;
  /** After how long the load balancers are told of a crash and of its end, as a health check would; never if infinite. */
  readonly detectedNs: number;
  /** Fraction of requests that end with a reset instead of a response. */
  readonly failing: number;
  /** The operator takes it out: no new flows, those of before stay. */
  readonly drained: boolean;
}

/** A complete scenario, checked: every index exists, every number is in range. */
export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly durationNs: number;
  /** Nothing before is counted. */
  readonly warmupNs: number;
  /** Figures are of before, during and after this span; all of the run is `before` if it begins at the end. */
  readonly duringFromNs: number;
  readonly duringUntilNs: number;
  /** Servers whose share should change then. */
  readonly focus: readonly number[];
  readonly balancers: number;
  readonly tickNs: number;
  readonly slots: number;
  /** Whether a flow keeps its backend when its slot moves, as it does with a flow table. */
  readonly affinity: boolean;
  readonly seed: number;
  readonly servers: readonly ServerSpec[];
  readonly dependencies: readonly DependencySpec[];
  readonly clients: readonly ClientSpec[];
  readonly events: readonly EventSpec[];
}
