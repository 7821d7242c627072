import type { BackendSignals } from '../latency/signals.ts';
import { formatDuration, type Ns } from '../units.ts';
import type { PassiveSettings } from './settings.ts';

/** A backend that showed life so recently is not accused: half of a SYN's first time-out (RFC 6298, 2). */
const silenceNsMin = 500e6;
/** What came to no accusation in this time is forgotten: a client sends a SYN again after 1, 3 and 7 seconds. */
const evidenceNsMax = 10e9;
/** Signs of life of each other backend meanwhile, on average: none of this one is then no chance (e^-12). */
const othersMin = 12;
/** Requests that must have come since: a client that went away left one. */
const requestsMin = 3;
/** Clients that said nothing for so long may be gone. */
const clientsNsMax = 2e9;

/**
 * Why a backend is to be taken out. `kernel`: it does not even acknowledge; `application`: it does, and answers nothing, which a
 * check by handshakes cannot refute.
 */
export interface Accusation {
  readonly level: 'kernel' | 'application';
  readonly reason: string;
}

/** What the pool of a backend did. */
export interface PoolEvidence {
  /** Handshakes and responses of all its backends since they are looked at, and the responses alone. */
  readonly life: number;
  readonly responses: number;
  /** Backends that take flows, and those of them with SYNs sent again and no handshake since. */
  readonly usable: number;
  readonly unanswered: number;
}

/** What was counted, of a backend and its pool, when the backend was last alive. */
class Ledger {
  aliveNs: Ns;
  /** When the first thing was counted against it since; NaN without any. */
  #firstNs = Number.NaN;
  #synRetransmits = 0;
  #retransmits = 0;
  #resets = 0;
  #requests = 0;
  #pool = 0;

  constructor(now: Ns) {
    this.aliveNs = now;
  }

  /** Begins to count anew. */
  clear({ synRetransmits, retransmits, resets, requests }: BackendSignals, pool: number): void {
    this.#firstNs = Number.NaN;
    this.#synRetransmits = synRetransmits;
    this.#retransmits = retransmits;
    this.#resets = resets;
    this.#requests = requests;
    this.#pool = pool;
  }

  /** Begins to count anew when what there is has become too old. */
  expire(signals: BackendSignals, pool: number, now: Ns, ageNsMax: number): void {
    const isAgainst = this.syns(signals) + this.retransmits(signals) + this.resets(signals) > 0;
    if (!isAgainst) this.#firstNs = Number.NaN;
    else if (Number.isNaN(this.#firstNs)) this.#firstNs = now;
    else if (now - this.#firstNs > ageNsMax) this.clear(signals, pool);
  }

  syns({ synRetransmits }: BackendSignals): number {
    return synRetransmits - this.#synRetransmits;
  }

  retransmits({ retransmits }: BackendSignals): number {
    return retransmits - this.#retransmits;
  }

  resets({ resets }: BackendSignals): number {
    return resets - this.#resets;
  }

  requests({ requests }: BackendSignals): number {
    return requests - this.#requests;
  }

  /** Whether the other backends were alive meanwhile. */
  areOthersAlive(pool: number, { usable }: PoolEvidence): boolean {
    const others = usable - 1;
    return others > 0 && pool - this.#pool >= othersMin * others;
  }
}

/**
 * What clients' packets tell against a backend since they last told anything for it. A handshake or response that a client shows
 * to have acquits it of all: who serves anybody is not accused, so that one client, or all of a network that is cut off, cannot
 * outweigh another that is served. That a client goes away is no evidence, as it sends nothing more.
 */
export class Evidence {
  readonly #signals: BackendSignals;
  readonly #kernel: Ledger;
  readonly #application: Ledger;
  /** Handshakes and responses before it was looked at. */
  readonly #handshakesThen: number;
  readonly #responsesThen: number;
  #handshakes = 0;
  #responses = 0;
  /** Flows that had begun when it was last alive, or was last suspected. */
  #flows = 0;
  /** What clients sent, and when that last was other than before. */
  #sent = 0;
  #sentNs: Ns;
  /** All that was counted when it was last taken in. */
  #seen = 0;

  constructor(signals: BackendSignals, now: Ns) {
    this.#signals = signals;
    this.#kernel = new Ledger(now);
    this.#application = new Ledger(now);
    this.#sentNs = now;
    this.#handshakesThen = signals.handshakes;
    this.#responsesThen = signals.responses;
    this.#remember();
    this.acquit(nobody);
  }

  /** Handshakes and responses since it is looked at, and responses alone. */
  get life(): number {
    return this.#signals.handshakes - this.#handshakesThen + this.responses;
  }

  get responses(): number {
    return this.#signals.responses - this.#responsesThen;
  }

  /** SYNs sent again since it was last alive. */
  get unanswered(): number {
    return this.#kernel.syns(this.#signals);
  }

  /** Forgets what there is against it; that it is silent stays. */
  acquit({ life, responses }: PoolEvidence): void {
    this.#kernel.clear(this.#signals, life);
    this.#application.clear(this.#signals, responses);
    this.#flows = this.#signals.flows;
  }

  /**
   * Whether flows begin and none came to a handshake, which is reason to ask the backend at once: clients send nothing more
   * after a refusal. True once for so many flows.
   */
  isSuspicious({ unanswered }: PassiveSettings, now: Ns): boolean {
    const { flows } = this.#signals;
    if (now - this.#kernel.aliveNs < silenceNsMin || flows - this.#flows < unanswered) return false;
    this.#flows = flows;
    return true;
  }

  /** Whether there is nothing against it, no flow that may be refused, and nothing to take in. */
  get isStill(): boolean {
    return !this.#isCharged && this.#signals.flows === this.#flows && this.#counted() === this.#seen;
  }

  /** Takes in what was counted until now. */
  takeIn(pool: PoolEvidence, { oldestNs }: PassiveSettings, now: Ns): void {
    const signals = this.#signals;
    const sent = signals.flows + signals.segments + signals.synRetransmits;
    if (sent !== this.#sent) this.#sentNs = now;
    const isHeard = signals.responses > this.#responses;
    if (isHeard || signals.handshakes > this.#handshakes) {
      this.#kernel.aliveNs = now;
      this.#kernel.clear(signals, pool.life);
      this.#flows = signals.flows;
    }
    if (isHeard) {
      this.#application.aliveNs = now;
      this.#application.clear(signals, pool.responses);
    }
    this.#remember();
    this.#kernel.expire(signals, pool.life, now, evidenceNsMax);
    this.#application.expire(signals, pool.responses, now, Math.max(evidenceNsMax, 2 * oldestNs));
  }

  /**
   * An accusation if what there is against it is enough.
   * @param factor by which more is wanted than the settings say, and a longer silence; at least 1
   */
  accuse(pool: PoolEvidence, settings: PassiveSettings, factor: number, now: Ns): Accusation | undefined {
    // Most backends of most looks.
    if (!this.#isCharged) return undefined;
    return (
      this.#accuseKernel(pool, settings, factor, now) ?? this.#accuseApplication(pool, settings, factor, now)
    );
  }

  get #isCharged(): boolean {
    const signals = this.#signals;
    if (this.#kernel.syns(signals) + this.#kernel.retransmits(signals) > 0) return true;
    return this.#application.resets(signals) + this.#application.requests(signals) > 0;
  }

  #accuseKernel(
    pool: PoolEvidence,
    settings: PassiveSettings,
    factor: number,
    now: Ns,
  ): Accusation | undefined {
    const silenceNs = now - this.#kernel.aliveNs;
    if (silenceNs < silenceNsMin * factor) return undefined;
    const syns = this.unanswered;
    // Where every one is in the same case, the cause is elsewhere.
    if (syns >= settings.unanswered * factor && pool.unanswered < pool.usable) {
      return {
        level: 'kernel',
        reason: `${syns} SYNs sent again and no handshake for ${formatDuration(silenceNs)}`,
      };
    }
    const again = this.#kernel.retransmits(this.#signals);
    if (again < settings.retransmits * factor || !this.#kernel.areOthersAlive(pool.life, pool))
      return undefined;
    return {
      level: 'kernel',
      reason: `${again} segments sent again and no answer for ${formatDuration(silenceNs)}`,
    };
  }

  #accuseApplication(
    pool: PoolEvidence,
    settings: PassiveSettings,
    factor: number,
    now: Ns,
  ): Accusation | undefined {
    const silenceNs = now - this.#application.aliveNs;
    if (silenceNs < silenceNsMin * factor || !this.#application.areOthersAlive(pool.responses, pool))
      return undefined;
    const resets = this.#application.resets(this.#signals);
    if (resets >= settings.resets * factor) {
      const reason = `${resets} connections reset and no response for ${formatDuration(silenceNs)}`;
      return { level: 'application', reason };
    }
    const requests = this.#application.requests(this.#signals);
    const isWaitedFor = requests >= requestsMin && now - this.#sentNs < clientsNsMax;
    if (!isWaitedFor || silenceNs < settings.oldestNs) return undefined;
    const { oldestNs } = this.#signals;
    if (oldestNs < settings.oldestNs) return undefined;
    const reason = `${requests} requests and no response, the oldest waits for ${formatDuration(oldestNs)}`;
    return { level: 'application', reason };
  }

  #remember(): void {
    const { handshakes, responses, flows, segments, synRetransmits } = this.#signals;
    this.#handshakes = handshakes;
    this.#responses = responses;
    this.#sent = flows + segments + synRetransmits;
    this.#seen = this.#counted();
  }

  #counted(): number {
    const { flows, synRetransmits, handshakes, requests, responses, segments, retransmits, resets } =
      this.#signals;
    return flows + synRetransmits + handshakes + requests + responses + segments + retransmits + resets;
  }
}

const nobody: PoolEvidence = { life: 0, responses: 0, usable: 0, unanswered: 0 };
