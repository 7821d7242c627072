import { policyNames } from '../control/registry.ts';
import { InbandError } from '../errors.ts';
import { labLimits } from '../lab/plan.ts';
import { formatDuration, type Ns, ns } from '../units.ts';

/** What the demo is told; every field is a flag of `inband demo`. */
export interface DemoOptions {
  /** Load of both runs together. */
  readonly durationNs: Ns;
  /** Added to the path to one server during the middle third of each run. */
  readonly delayNs: Ns;
  /** What the run with in-band control does with latencies. */
  readonly policy: string;
}

/** The load and the testbed of both runs. */
export const demoSetup = {
  servers: 2,
  /** Delay of the path to either server all the time: of the order of a data center's, and well above noise. */
  baseDelayUs: 250,
  connections: 8,
  /** A connection keeps its server; only new ones, from other ports, follow moved slots. */
  requestsPerConnection: 50,
  setRatio: 0.5,
  valueBytes: 64,
  /** Figures and charts are no finer than this: some 300 requests are enough for a p95. */
  intervalMs: 10,
  /** Each phase's p95 leaves out this much at its start: connections have to turn over before it settles. */
  settleMs: 300,
} as const;

/** Bounds of the duration: a phase must be longer than it takes to settle, and nobody waits for hours. */
const durationNsMin = 4e9;
const durationNsMax = 3600e9;

/** When things happen in each run, in ms from the start of its load. */
export interface Schedule {
  readonly injectMs: number;
  readonly removeMs: number;
  readonly endMs: number;
}

/** The thirds of a run: before, with the delay, after. */
export function scheduleOf({ durationNs }: DemoOptions): Schedule {
  const endMs = Math.round(durationNs / 2e6);
  return { injectMs: Math.round(endMs / 3), removeMs: Math.round((2 * endMs) / 3), endMs };
}

/** @throws InbandError `USAGE` naming the option that is out of range. */
export function checkDemo({ durationNs, delayNs, policy }: DemoOptions): void {
  if (durationNs < durationNsMin || durationNs > durationNsMax) {
    throw new InbandError('USAGE', `--duration: ${formatDuration(durationNs)} is out of range`, {
      hint: `give ${formatDuration(durationNsMin)} to ${formatDuration(durationNsMax)}`,
    });
  }
  const delayNsMax = (labLimits.delayUs - demoSetup.baseDelayUs) * 1e3;
  if (delayNs % 1e3 !== 0 || delayNs > delayNsMax) {
    throw new InbandError('USAGE', `--delay: ${formatDuration(delayNs)} cannot be injected`, {
      hint: `give whole microseconds, at most ${formatDuration(delayNsMax)}`,
    });
  }
  if (!policyNames.includes(policy)) {
    throw new InbandError('USAGE', `--policy: '${policy}' is not known`, {
      hint: `one of ${policyNames.join(', ')}`,
    });
  }
}

export const demoDefaults: DemoOptions = { durationNs: ns(50e9), delayNs: ns(1e6), policy: 'balance' };
