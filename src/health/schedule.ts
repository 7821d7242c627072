import { type Ns, ns } from '../units.ts';
import type { HealthSettings } from './settings.ts';

/** Part of the interval kept in hand for polls that come late. */
const slack = 0.05;

/**
 * When the next check begins, `uniform` being a random number from 0 to 1. Never later than an interval after the last one began,
 * sooner by a random part up to the jitter, so that checks of many backends and load balancers do not fall together.
 *
 * After the first failure the others come sooner, one interval less their part of a time-out: a backend that dies and is silent is
 * down within `interval * fall`, as far as that leaves room for `fall` time-outs (`detectionNsMax`).
 */
export function nextCheckNs(
  settings: HealthSettings,
  beganNs: Ns,
  endedNs: Ns,
  isInDoubt: boolean,
  uniform: number,
): Ns {
  const { intervalNs, jitter } = settings;
  const periodNs = isInDoubt ? doubtNs(settings) : intervalNs * (1 - jitter * uniform);
  return ns(Math.max(endedNs, beganNs + periodNs));
}

/** From one check to the next while the former failed. */
function doubtNs({ intervalNs, timeoutNs, fall }: HealthSettings): number {
  return intervalNs * (1 - slack) - timeoutNs / Math.max(1, fall - 1);
}

/**
 * Time within which a backend that stops to answer is down: an interval until it is asked, and `fall` checks of which the last
 * takes a time-out.
 */
export function detectionNsMax(settings: HealthSettings): Ns {
  const { intervalNs, timeoutNs, fall } = settings;
  return ns(intervalNs + (fall - 1) * Math.max(doubtNs(settings), timeoutNs) + timeoutNs);
}
