import { type Distribution, draw } from './distribution.ts';
import { Pauses } from './pauses.ts';
import type { Random } from './random.ts';
import type { Scenario } from './scenario.ts';

/** What became of a request. */
export const outcome = {
  /** Served; the response leaves the server at `finishNs`. */
  served: 0,
  /** Reset at `finishNs`: refused, failed, or the process died. */
  reset: 1,
  /** No answer of any kind: the host is gone, or went before the response. */
  silence: 2,
} as const;

interface Added {
  readonly fromNs: number;
  readonly untilNs: number;
  readonly delay: Distribution;
  readonly fraction: number;
}

interface Span {
  readonly fromNs: number;
  readonly untilNs: number;
}

/**
 * First come, first served on a number of cores. Since nothing overtakes while waiting, and all that will happen to the
 * server is known from the scenario, the end of a request is known when it arrives: no event is needed for it.
 */
export class Server {
  /** Of the last request given to `serve`. */
  finishNs = 0;
  readonly #random: Random;
  readonly #service: Distribution;
  readonly #free: Float64Array;
  readonly #isUnlimited: boolean;
  /** Start times of those that waited, the oldest first: a ring. */
  readonly #starts: Float64Array;
  #head = 0;
  #waiting = 0;
  readonly #breaks: readonly number[];
  readonly #speeds: readonly number[];
  #segment = 0;
  readonly #pauses: Pauses | undefined;
  readonly #added: readonly Added[];
  readonly #failing: readonly (Span & { readonly fraction: number })[];
  readonly #crashes: readonly (Span & { readonly isSilent: boolean })[];
  #crash = 0;

  constructor(scenario: Scenario, index: number, random: Random) {
    const spec = scenario.servers[index]!;
    const events = scenario.events.filter(({ servers }) => servers.includes(index));
    this.#random = random;
    this.#service = spec.service;
    this.#isUnlimited = spec.cores === Number.POSITIVE_INFINITY;
    this.#free = new Float64Array(this.#isUnlimited ? 0 : spec.cores);
    this.#starts = new Float64Array(this.#isUnlimited ? 0 : spec.queueMax);
    const slowed = events.filter(({ speed }) => speed !== 1);
    this.#breaks = [...new Set([0, ...slowed.flatMap(({ fromNs, untilNs }) => [fromNs, untilNs])])].sort(
      (a, b) => a - b,
    );
    this.#speeds = this.#breaks.map((at) => speedAt(slowed, at));
    const stalls = events.filter((event) => event.stalls !== undefined);
    this.#pauses = stalls.length > 0 ? new Pauses(stalls, random) : undefined;
    this.#added = addedDelays(scenario, index);
    this.#failing = events
      .filter(({ failing }) => failing > 0)
      .map((event) => ({ ...event, fraction: event.failing }));
    this.#crashes = events
      .filter(({ crash }) => crash !== undefined)
      .map((event) => ({ ...event, isSilent: event.crash === 'silent' }))
      .sort((a, b) => a.fromNs - b.fromNs);
  }

  /** Whether packets that arrive now find nobody: 0 no, else `outcome.reset` or `outcome.silence`. */
  absence(nowNs: number): number {
    for (const { fromNs, untilNs, isSilent } of this.#crashes) {
      if (nowNs >= fromNs && nowNs < untilNs) return isSilent ? outcome.silence : outcome.reset;
    }
    return 0;
  }

  /** Takes a request that arrives now, never earlier than the one before; what becomes of it is an `outcome`. */
  serve(nowNs: number): number {
    const crash = this.#nextCrash(nowNs);
    if (crash !== undefined && nowNs >= crash.fromNs) {
      this.finishNs = nowNs;
      return crash.isSilent ? outcome.silence : outcome.reset;
    }
    const core = this.#firstFree();
    const startNs = core < 0 ? nowNs : Math.max(nowNs, this.#free[core]!);
    if (core >= 0 && !this.#queue(nowNs, startNs)) {
      this.finishNs = nowNs;
      return outcome.reset;
    }
    const endNs = this.#end(startNs, draw(this.#service, this.#random, nowNs));
    if (core >= 0) this.#free[core] = endNs;
    this.finishNs = this.#added.length === 0 ? endNs : endNs + this.#delay(nowNs);
    if (crash !== undefined && this.finishNs > crash.fromNs) {
      this.finishNs = crash.fromNs;
      return crash.isSilent ? outcome.silence : outcome.reset;
    }
    return this.#failing.length > 0 && this.#fails(nowNs) ? outcome.reset : outcome.served;
  }

  /** The crash that is on or comes next; what waited at one before is gone. */
  #nextCrash(nowNs: number) {
    while (this.#crash < this.#crashes.length && this.#crashes[this.#crash]!.untilNs <= nowNs) {
      this.#free.fill(this.#crashes[this.#crash++]!.untilNs);
      this.#waiting = 0;
    }
    return this.#crashes[this.#crash];
  }

  /** The core that is free first; -1 where there are always enough. */
  #firstFree(): number {
    if (this.#isUnlimited) return -1;
    const free = this.#free;
    let first = 0;
    for (let core = 1; core < free.length; core++) if (free[core]! < free[first]!) first = core;
    return first;
  }

  /** Whether there is room to wait until `startNs`. */
  #queue(nowNs: number, startNs: number): boolean {
    const starts = this.#starts;
    while (this.#waiting > 0 && starts[this.#head]! <= nowNs) {
      this.#head = this.#head + 1 === starts.length ? 0 : this.#head + 1;
      this.#waiting--;
    }
    if (startNs <= nowNs) return true;
    if (this.#waiting === starts.length) return false;
    const tail = this.#head + this.#waiting;
    starts[tail >= starts.length ? tail - starts.length : tail] = startNs;
    this.#waiting++;
    return true;
  }

  /** When work of so many ns at speed 1 that starts then is done. */
  #end(startNs: number, workNs: number): number {
    const breaks = this.#breaks;
    if (breaks.length === 1 && this.#pauses === undefined) return startNs + workNs;
    while (this.#segment + 1 < breaks.length && breaks[this.#segment + 1]! <= startNs) this.#segment++;
    let segment = this.#segment;
    let atNs = startNs;
    let leftNs = workNs;
    this.#pauses?.seek(startNs);
    for (let pause = 0; ; ) {
      const breakNs = segment + 1 < breaks.length ? breaks[segment + 1]! : Number.POSITIVE_INFINITY;
      const pauseNs = this.#pauses?.from(pause) ?? Number.POSITIVE_INFINITY;
      const speed = this.#speeds[segment]!;
      const untilNs = Math.min(breakNs, pauseNs);
      const doneNs = atNs + leftNs / speed;
      if (doneNs <= untilNs) return doneNs;
      if (untilNs > atNs) {
        leftNs -= (untilNs - atNs) * speed;
        atNs = untilNs;
      }
      if (pauseNs <= atNs) atNs = Math.max(atNs, this.#pauses!.until(pause++));
      while (segment + 1 < breaks.length && breaks[segment + 1]! <= atNs) segment++;
    }
  }

  #delay(nowNs: number): number {
    let sumNs = 0;
    for (const { fromNs, untilNs, delay, fraction } of this.#added) {
      if (nowNs < fromNs || nowNs >= untilNs) continue;
      if (fraction < 1 && this.#random.uniform() >= fraction) continue;
      sumNs += draw(delay, this.#random, nowNs);
    }
    return sumNs;
  }

  #fails(nowNs: number): boolean {
    for (const { fromNs, untilNs, fraction } of this.#failing) {
      if (nowNs >= fromNs && nowNs < untilNs && this.#random.uniform() < fraction) return true;
    }
    return false;
  }
}

/** Product of the factors that hold at a time. */
export function speedAt(events: readonly (Span & { readonly speed: number })[], atNs: number): number {
  return events.reduce(
    (product, { fromNs, untilNs, speed }) => (atNs >= fromNs && atNs < untilNs ? product * speed : product),
    1,
  );
}

/** Delays that events add to a server's responses, and the latencies of what it depends on. */
export function addedDelays(scenario: Scenario, server: number): Added[] {
  const all: Added[] = [];
  for (const event of scenario.events) {
    if (event.delay && event.servers.includes(server))
      all.push({ ...event, delay: event.delay, fraction: 1 });
  }
  scenario.dependencies.forEach(({ usedBy, latency, fraction }, d) => {
    if (!usedBy.includes(server)) return;
    all.push({ fromNs: 0, untilNs: Number.POSITIVE_INFINITY, delay: latency, fraction });
    for (const event of scenario.events) {
      if (event.delay && event.dependencies.includes(d)) all.push({ ...event, delay: event.delay, fraction });
    }
  });
  return all;
}
