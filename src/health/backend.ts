import type { BackendSignals } from '../latency/signals.ts';
import { noSignals } from '../latency/signals.ts';
import type { Endpoint } from '../net/address.ts';
import { type Ns, ns } from '../units.ts';
import type { Check, Verdict } from './check.ts';
import { Ejection } from './ejection.ts';
import { Evidence } from './evidence.ts';
import type { BackendHealth, HealthCounts } from './health.ts';
import { portCount } from './ports.ts';
import { nextCheckNs } from './schedule.ts';
import { type CheckName, checkOf, type HealthSettings } from './settings.ts';
import { type HealthState, Standing } from './standing.ts';

/** A backend whose health is watched. */
export interface HealthBackend {
  /** What the datapath calls it. */
  readonly number: number;
  readonly name: string;
  /** Whether it is to be checked: not while it is in maintenance. */
  readonly checked: boolean;
  /** Whether it may get new flows as far as the operator goes; as `checked` unless it says. */
  readonly ready?: boolean;
  /** Whether to trust it before it has passed a check, as one that serves already. */
  readonly startsUp: boolean;
  /** Kept up to date by who gives them; without any, or with `noSignals`, packets tell nothing. */
  readonly signals?: BackendSignals;
}

/** A vip whose backends are watched. */
export interface HealthVip {
  readonly endpoint: Endpoint;
  readonly settings: HealthSettings;
  readonly backends: readonly HealthBackend[];
}

/** From one check on suspicion to the next. */
const suspicionNs = 1e9;

/** One check under way. */
interface Running {
  readonly check: Check;
  readonly port: number;
  readonly beganNs: Ns;
  isJudged: boolean;
}

/** What happened to a backend, for the log and for who moves slots. */
export type HealthEvent = 'up' | 'down' | 'ejected' | 'readmitted';

/** All that is known of one backend of one vip, and when it is to be asked again. */
export class WatchedBackend {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly ejection = new Ejection();
  backend: HealthBackend;
  settings: HealthSettings;
  kind: CheckName;
  running: Running | undefined;
  /** Where its way around the ports stands. */
  cursor: number;
  evidence: Evidence | undefined;
  readonly counts: { -readonly [Name in keyof HealthCounts]: HealthCounts[Name] } = {
    passed: 0,
    failed: 0,
    ejections: 0,
    refuted: 0,
  };
  /** Always as it is now. */
  readonly health: BackendHealth;
  readonly #standing: Standing;
  /** Where the time of its next check is kept: beside those of others, so that they are looked through soon. */
  #due = new Float64Array(1);
  #place = 0;
  #suspectedNs = Number.NEGATIVE_INFINITY;
  #isFirst = true;
  /** Whether it was out before, so that its share is to grow slowly. */
  #returns = false;

  constructor(vip: HealthVip, backend: HealthBackend, random: number, now: Ns) {
    this.name = backend.name;
    this.endpoint = vip.endpoint;
    this.backend = backend;
    this.settings = vip.settings;
    this.kind = checkOf(vip.settings, vip.endpoint.proto);
    this.cursor = random % portCount;
    const [state, reason] = beginOf(backend, this.kind);
    this.#standing = new Standing(state, reason, now);
    this.health = viewOf(this, this.#standing);
    this.nextNs = this.isChecked ? now : Number.POSITIVE_INFINITY;
  }

  /** When the next check is due; infinite while there is none to come. */
  get nextNs(): number {
    return this.#due[this.#place]!;
  }

  set nextNs(at: number) {
    this.#due[this.#place] = at;
  }

  /** Keeps the time of its next check there from now on. */
  keepDue(due: Float64Array<ArrayBuffer>, place: number): void {
    due[place] = this.nextNs;
    this.#due = due;
    this.#place = place;
  }

  get isChecked(): boolean {
    return this.backend.checked && this.kind !== 'none';
  }

  get state(): HealthState {
    return this.#standing.state;
  }

  /** Whether new flows may go there, as far as health goes. */
  get isUsable(): boolean {
    return (this.state === 'up' || this.state === 'unchecked') && this.ejection.ejected === undefined;
  }

  /** Whether it takes new flows now, as far as is known here. */
  get takesFlows(): boolean {
    return this.isUsable && (this.backend.ready ?? this.backend.checked);
  }

  /** Takes the backend as it is configured now; what is known of it stays as far as it is of use. */
  reconfigure(vip: HealthVip, backend: HealthBackend, now: Ns): void {
    const [wasChecked, before] = [this.backend.checked, this.kind];
    if (backend.signals !== this.backend.signals) this.evidence = undefined;
    this.backend = backend;
    this.settings = vip.settings;
    this.kind = checkOf(vip.settings, vip.endpoint.proto);
    if (!backend.checked || this.kind === 'none') {
      this.#standing.set('unchecked', beginOf(backend, this.kind)[1], now);
      this.nextNs = Number.POSITIVE_INFINITY;
      this.ejection.ejected = undefined;
    } else if (!wasChecked) {
      this.#standing.set('starting', notCheckedYet, now);
      this.#returns = true;
      this.nextNs = now;
    } else if (before !== this.kind) {
      this.nextNs = now;
    } else {
      this.nextNs = Math.min(this.nextNs, now + vip.settings.intervalNs);
    }
  }

  /** Why there can be no check although one is configured. One that never had any is usable then: true if that is news. */
  cannotBeChecked(reason: string, now: Ns): boolean {
    const isUnknown = this.state === 'starting' || this.state === 'unchecked';
    return isUnknown && this.#standing.set('unchecked', reason, now);
  }

  /** Takes a verdict in. @returns what happened, and whether its share is to grow slowly */
  judge(verdict: Verdict, now: Ns): { event: HealthEvent; gradual: boolean } | undefined {
    if (verdict.passed) this.counts.passed++;
    else this.counts.failed++;
    const before = this.state;
    const gradual = before === 'down' || this.#returns;
    if (!this.#standing.take(verdict, now, this.settings)) return undefined;
    if (this.state === 'up') this.#returns = false;
    return { event: this.state === 'up' ? 'up' : 'down', gradual };
  }

  /** The check under way is over: when the next one begins. The first two are an interval's random part apart. */
  schedule(beganNs: Ns, now: Ns, uniform: number): void {
    const next = nextCheckNs(this.settings, beganNs, now, this.#standing.isInDoubt, uniform);
    const isSpread = this.#isFirst && this.state === 'up';
    this.#isFirst = false;
    this.nextNs = isSpread ? ns(Math.max(now, beganNs + this.settings.intervalNs * uniform)) : next;
  }

  /** Has the next check begin as soon as there is none under way. */
  hurry(now: Ns): void {
    if (this.isChecked) this.nextNs = now;
  }

  /** Has the next check begin soon since flows there come to nothing, but not all the time while checks pass. */
  suspect(now: Ns): void {
    if (!this.#standing.isInDoubt && now - this.#suspectedNs < suspicionNs) return;
    this.#suspectedNs = now;
    this.hurry(now);
  }

  /** Begins to look at its signals, if anything counts them. */
  watch(now: Ns): void {
    const { signals = noSignals } = this.backend;
    if (signals === noSignals || !this.settings.passive.enabled) this.evidence = undefined;
    else this.evidence ??= new Evidence(signals, now);
  }
}

function viewOf(backend: WatchedBackend, standing: Standing): BackendHealth {
  return {
    get state() {
      return standing.state;
    },
    get sinceNs() {
      return standing.sinceNs;
    },
    get check() {
      return backend.kind;
    },
    get reason() {
      return standing.reason;
    },
    get ejected() {
      return backend.ejection.ejected ?? null;
    },
  };
}

const notCheckedYet = 'not checked yet';

/** How it stands before any check, and why. */
function beginOf({ checked, startsUp }: HealthBackend, kind: CheckName): [HealthState, string] {
  if (!checked) return ['unchecked', 'in maintenance'];
  if (kind === 'none') return ['unchecked', 'no check is configured'];
  return startsUp ? ['up', 'served before it was checked'] : ['starting', notCheckedYet];
}
