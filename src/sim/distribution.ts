import type { Random } from './random.ts';

/** How long something takes, in ns. */
export type Distribution =
  | { readonly kind: 'constant'; readonly valueNs: number }
  | { readonly kind: 'exponential'; readonly meanNs: number }
  /** `cv` is the standard deviation over the mean. */
  | { readonly kind: 'gamma'; readonly meanNs: number; readonly cv: number }
  | { readonly kind: 'uniform'; readonly fromNs: number; readonly toNs: number }
  | { readonly kind: 'lognormal'; readonly medianNs: number; readonly p99Ns: number }
  /** Lognormal, with a median and p99 that change over time: `everyNs` apart, in between on a straight line of logarithms. */
  | {
      readonly kind: 'profile';
      readonly everyNs: number;
      readonly medianNs: readonly number[];
      readonly p99Ns: readonly number[];
    };

/** The standard normal's 99th percentile. */
const z99 = 2.326347874;

/** Value of a profile at a time, interpolated between logarithms; its ends hold before and after. */
function profileAt(values: readonly number[], everyNs: number, timeNs: number): number {
  const at = Math.min(values.length - 1, Math.max(0, timeNs / everyNs));
  const low = Math.floor(at);
  const high = Math.min(values.length - 1, low + 1);
  return values[low]! * (values[high]! / values[low]!) ** (at - low);
}

const sigmaOf = (medianNs: number, p99Ns: number): number => Math.log(p99Ns / medianNs) / z99;

/** Draws a value in ns at a time; allocates nothing. */
export function draw(distribution: Distribution, random: Random, timeNs: number): number {
  switch (distribution.kind) {
    case 'constant':
      return distribution.valueNs;
    case 'exponential':
      return distribution.meanNs * random.exponential();
    case 'gamma':
      return distribution.meanNs * random.gamma(1 / (distribution.cv * distribution.cv));
    case 'uniform':
      return distribution.fromNs + (distribution.toNs - distribution.fromNs) * random.uniform();
    case 'lognormal': {
      const { medianNs, p99Ns } = distribution;
      return medianNs * Math.exp(sigmaOf(medianNs, p99Ns) * random.normal());
    }
    case 'profile': {
      const { everyNs } = distribution;
      const medianNs = profileAt(distribution.medianNs, everyNs, timeNs);
      return (
        medianNs *
        Math.exp(sigmaOf(medianNs, profileAt(distribution.p99Ns, everyNs, timeNs)) * random.normal())
      );
    }
  }
}

/** Mean in ns and squared coefficient of variation at a time. */
export function moments(distribution: Distribution, timeNs: number): { meanNs: number; cv2: number } {
  switch (distribution.kind) {
    case 'constant':
      return { meanNs: distribution.valueNs, cv2: 0 };
    case 'exponential':
      return { meanNs: distribution.meanNs, cv2: 1 };
    case 'gamma':
      return { meanNs: distribution.meanNs, cv2: distribution.cv ** 2 };
    case 'uniform': {
      const meanNs = (distribution.fromNs + distribution.toNs) / 2;
      return { meanNs, cv2: (distribution.toNs - distribution.fromNs) ** 2 / 12 / Math.max(meanNs, 1) ** 2 };
    }
    case 'lognormal':
      return lognormalMoments(distribution.medianNs, distribution.p99Ns);
    case 'profile': {
      const { everyNs, medianNs, p99Ns } = distribution;
      return lognormalMoments(profileAt(medianNs, everyNs, timeNs), profileAt(p99Ns, everyNs, timeNs));
    }
  }
}

function lognormalMoments(medianNs: number, p99Ns: number): { meanNs: number; cv2: number } {
  const variance = sigmaOf(medianNs, p99Ns) ** 2;
  return { meanNs: medianNs * Math.exp(variance / 2), cv2: Math.exp(variance) - 1 };
}
