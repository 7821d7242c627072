import { InbandError } from '../errors.ts';
import { Balance } from './balance.ts';
import type { Policy } from './policy.ts';
import { Shift } from './shift.ts';
import { Static } from './static.ts';

/** Settings that policies share. */
export interface PolicySettings {
  /** Fraction of total traffic that one decision may move. */
  readonly alpha: number;
}

const policies: Record<string, (settings: PolicySettings) => Policy> = {
  balance: ({ alpha }) => new Balance(alpha),
  shift: ({ alpha }) => new Shift(alpha),
  static: () => new Static(),
};

export const policyNames = Object.keys(policies);

/**
 * Makes a policy from its name.
 * @throws InbandError `USAGE` naming what there is, or for settings out of range
 */
export function createPolicy(name: string, settings: PolicySettings): Policy {
  if (!Object.hasOwn(policies, name)) {
    throw new InbandError('USAGE', `policy: '${name}' is not known`, {
      hint: `one of ${policyNames.join(', ')}`,
    });
  }
  return policies[name]!(settings);
}
