import type { Policy, PolicyInput } from '../control/policy.ts';
import { type Distribution, moments } from './distribution.ts';
import type { Scenario } from './scenario.ts';
import { addedDelays, speedAt } from './server.ts';

/** What a server is at some time, as the oracle knows it. */
interface Station {
  /** Of one core: mean time per request, and squared coefficient of variation. */
  readonly meanNs: number;
  readonly cv2: number;
  readonly cores: number;
  /** What every response takes beside waiting and service. */
  readonly baseNs: number;
  readonly isAbsent: boolean;
}

/** Profiles change all the time: the plan follows them in steps of this part of their points. */
const profileParts = 4;
/** A closed loop's arrival rate and latency depend on each other: so many rounds find both. */
const rounds = 40;
/** No server is planned beyond this part of its capacity. */
const loadMax = 0.98;

/**
 * The best fixed split for each stretch of time in which nothing changes, found with the knowledge of the scenario: it
 * minimises the mean latency of M/G/c queues (Allen and Cunneen's approximation), which spreads load until one more
 * request would cost the same everywhere. No law has this knowledge; it is what others are measured against.
 */
export class Oracle implements Policy {
  readonly name = 'oracle';
  readonly trigger = 'tick';
  readonly #times: readonly number[];
  readonly #plan: readonly Float64Array[];
  #at = -1;

  constructor(scenario: Scenario) {
    this.#times = timesOf(scenario);
    this.#plan = this.#times.map((fromNs, i) => {
      const untilNs = Math.min(this.#times[i + 1] ?? scenario.durationNs, scenario.durationNs);
      return sharesAt(scenario, (fromNs + untilNs) / 2);
    });
  }

  decide({ now, shares }: PolicyInput): boolean {
    let at = Math.max(0, this.#at);
    while (at + 1 < this.#times.length && this.#times[at + 1]! <= now) at++;
    if (at === this.#at) return false;
    this.#at = at;
    shares.set(this.#plan[at]!);
    return true;
  }
}

/** When something changes, from 0 on. */
function timesOf({ events, servers, dependencies, clients, durationNs }: Scenario): number[] {
  const profiles: Distribution[] = [
    ...servers.map(({ service }) => service),
    ...dependencies.map(({ latency }) => latency),
  ];
  const steps = [
    ...profiles.flatMap((one) => (one.kind === 'profile' ? one.everyNs / profileParts : [])),
    ...clients.flatMap(({ rate }) => (rate && rate.perSecond.length > 1 ? rate.everyNs : [])),
  ];
  const regular = steps.flatMap((step) =>
    Array.from({ length: Math.ceil(durationNs / step) }, (_, i) => i * step),
  );
  const edges = [...events, ...clients].flatMap(({ fromNs, untilNs }) => [fromNs, untilNs]);
  const all = new Set([0, ...regular, ...edges].filter((time) => time < durationNs));
  return [...all].sort((a, b) => a - b);
}

/** Shares that minimise the mean latency at a time; by weight if nobody is there to serve. */
export function sharesAt(scenario: Scenario, atNs: number): Float64Array {
  const stations = scenario.servers.map((_, s) => stationAt(scenario, s, atNs));
  const byWeight = Float64Array.from(scenario.servers, ({ weight }) => weight);
  if (stations.every(({ isAbsent }) => isAbsent)) return normalized(byWeight);
  let perNs = openRate(scenario, atNs) + closedRate(scenario, atNs, meanLatency(stations, byWeight));
  let rates = split(stations, perNs);
  for (let round = 0; round < rounds; round++) {
    const next = openRate(scenario, atNs) + closedRate(scenario, atNs, meanLatency(stations, rates));
    if (Math.abs(next - perNs) < 1e-4 * perNs) break;
    // Half the way, since the two of them swing around where they meet.
    perNs = (perNs + next) / 2;
    rates = split(stations, perNs);
  }
  return normalized(rates);
}

function stationAt(scenario: Scenario, index: number, atNs: number): Station {
  const { service, cores, distanceNs } = scenario.servers[index]!;
  const events = scenario.events.filter(
    ({ servers, fromNs, untilNs }) => servers.includes(index) && atNs >= fromNs && atNs < untilNs,
  );
  const { meanNs, cv2 } = moments(service, atNs);
  // Pauses take their part of the time from the cores, and a request meets the rest of one with that probability.
  const paused = events.map(({ stalls }) => {
    if (!stalls) return { part: 0, restNs: 0 };
    const pause = moments(stalls.duration, atNs);
    return {
      part: pause.meanNs / (pause.meanNs + stalls.everyNs),
      restNs: (pause.meanNs * (1 + pause.cv2)) / 2,
    };
  });
  const speed = speedAt(events, atNs) * paused.reduce((product, { part }) => product * (1 - part), 1);
  const addedNs = addedDelays(scenario, index)
    .filter(({ fromNs, untilNs }) => atNs >= fromNs && atNs < untilNs)
    .reduce((sum, { delay, fraction }) => sum + fraction * moments(delay, atNs).meanNs, 0);
  return {
    meanNs: meanNs / speed,
    cv2,
    cores,
    baseNs: 2 * distanceNs + addedNs + paused.reduce((sum, { part, restNs }) => sum + part * restNs, 0),
    isAbsent: events.some(({ crash, drained }) => crash !== undefined || drained),
  };
}

/** Requests per ns of open loops. */
function openRate({ clients }: Scenario, atNs: number): number {
  return clients.reduce((sum, { rate, fromNs, untilNs }) => {
    if (!rate || atNs < fromNs || atNs >= untilNs) return sum;
    return sum + rate.perSecond[Math.min(rate.perSecond.length - 1, Math.floor(atNs / rate.everyNs))]! / 1e9;
  }, 0);
}

/** Requests per ns of closed loops that wait so long for each response. */
function closedRate({ clients }: Scenario, atNs: number, latencyNs: number): number {
  return clients.reduce((sum, { rate, think, connections, distanceNs, fromNs, untilNs }) => {
    if (rate || atNs < fromNs || atNs >= untilNs) return sum;
    return sum + connections / (latencyNs + 2 * distanceNs + moments(think, atNs).meanNs);
  }, 0);
}

/** Latency in ns of a station at a rate; infinite beyond its capacity. */
function latencyOf({ meanNs, cv2, cores, baseNs }: Station, perNs: number): number {
  if (cores === Number.POSITIVE_INFINITY) return baseNs + meanNs;
  const load = (perNs * meanNs) / cores;
  if (load >= 1) return Number.POSITIVE_INFINITY;
  // Sakasegawa's closed form for the wait in M/M/c, times how irregular the service is.
  const waitNs =
    ((meanNs * load ** (Math.sqrt(2 * (cores + 1)) - 1)) / (cores * (1 - load))) * ((1 + cv2) / 2);
  return baseNs + meanNs + waitNs;
}

/** What one more request per ns costs all of them together: the derivative of rate times latency. */
function marginal(station: Station, perNs: number): number {
  const { meanNs, cores } = station;
  const step = cores === Number.POSITIVE_INFINITY ? 1e-12 : (1e-6 * cores) / meanNs;
  return ((perNs + step) * latencyOf(station, perNs + step) - perNs * latencyOf(station, perNs)) / step;
}

const capacity = ({ meanNs, cores, isAbsent }: Station): number =>
  isAbsent ? 0 : (loadMax * cores) / meanNs;

/** Rates per station that sum to `perNs`, or to what they can take together in proportion to that. */
function split(stations: readonly Station[], perNs: number): Float64Array {
  const total = stations.reduce((sum, station) => sum + capacity(station), 0);
  if (perNs >= total) return Float64Array.from(stations, capacity);
  const ratesAt = (cost: number) => Float64Array.from(stations, (station) => rateAt(station, cost, perNs));
  const sum = (rates: Float64Array) => rates.reduce((all, rate) => all + rate, 0);
  let low = 0;
  let high = 1e6;
  while (sum(ratesAt(high)) < perNs && high < 1e18) high *= 2;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (sum(ratesAt(middle)) < perNs) low = middle;
    else high = middle;
  }
  return ratesAt(high);
}

/** The rate at which one more request costs so much, at most `perNs`. */
function rateAt(station: Station, cost: number, perNs: number): number {
  if (station.isAbsent || marginal(station, 0) > cost) return 0;
  let low = 0;
  let high = Math.min(perNs, capacity(station));
  if (marginal(station, high) <= cost) return high;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (marginal(station, middle) <= cost) low = middle;
    else high = middle;
  }
  return low;
}

function meanLatency(stations: readonly Station[], rates: Float64Array): number {
  let sum = 0;
  let total = 0;
  for (let s = 0; s < stations.length; s++) {
    if (rates[s]! <= 0 || stations[s]!.isAbsent) continue;
    // Weights are no rates: their latency is that of an idle station.
    const latencyNs = latencyOf(stations[s]!, Math.min(rates[s]!, capacity(stations[s]!)));
    sum += rates[s]! * latencyNs;
    total += rates[s]!;
  }
  return total === 0 ? 0 : sum / total;
}

function normalized(rates: Float64Array): Float64Array {
  const total = rates.reduce((sum, rate) => sum + rate, 0);
  return total > 0 ? rates.map((rate) => rate / total) : rates.fill(1 / rates.length);
}
