import type { Reason } from '../../src/control/reason.ts';
import { ns } from '../../src/units.ts';

/** Why the first backend of a pool, twice as slow as the others, gives a fifth of its share away. */
export const slowReason: Reason = {
  backend: 0,
  cause: 'slow',
  kind: 'request',
  latencyNs: 2e6,
  poolNs: 1e6,
  spanNs: ns(1e9),
  samples: 100,
  shareBefore: 0.5,
  shareAfter: 0.4,
};
