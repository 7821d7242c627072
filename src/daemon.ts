/** A running load balancer: what the other rooms make together. */
export { LoadBalancer, type RunContext } from './daemon/balancer.ts';
export type { ShareChange } from './daemon/control.ts';
export type { Latency } from './daemon/latency.ts';

import type { statusOf, whyOf } from './daemon/status.ts';

/** What `status` gives: documented in the README, never renamed within a version of its schema. */
export type Status = ReturnType<typeof statusOf>;

/** What `why` gives, likewise. */
export type Why = ReturnType<typeof whyOf>;
