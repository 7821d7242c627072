import type { PolicyInput } from '../../src/control/policy.ts';
import { ns } from '../../src/units.ts';

type Given = Pick<PolicyInput, 'windows' | 'weights' | 'shares'> & Partial<PolicyInput>;

/** What a policy is asked with: at time 0, of requests, with all backends usable and without signals, unless given. */
export function anInput(given: Given): PolicyInput {
  const usable = new Uint8Array(given.windows.length).fill(1);
  return { now: ns(0), kind: 'request', signals: [], usable, ...given };
}
