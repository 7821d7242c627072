import { z } from 'zod';
import { describe } from '../config/messages.ts';
import { parseDuration } from '../units.ts';

/** Limits of a scenario: what a machine can hold, and what somebody waits for. */
export const limits = {
  servers: 256,
  clients: 64,
  events: 1_000,
  connections: 262_144,
  balancers: 64,
  cores: 1_024,
  queue: 65_536,
  points: 10_000,
  durationNs: 24 * 3600e9,
} as const;

/** Connections of an open-loop client that says nothing about them. */
export const openConnectionsDefault = 16_384;

/** A duration such as `1.5ms`, or 0; in ns. */
const duration = z.unknown().transform((value, context): number => {
  if (value === 0 || (typeof value === 'string' && /^0(\.0*)?(ns|us|µs|ms|s|m|h)$/.test(value))) return 0;
  try {
    return parseDuration(String(value), '');
  } catch {
    const message =
      value === undefined ? 'missing' : `${describe(value)} is not a duration such as 64us, 1.5ms or 2s`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  }
});

const positive = duration.refine((value) => value > 0, { error: 'must be above 0' });

const name = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\w.:-]+$/, {
    error: 'may have letters, digits and . : - _',
  });

const fraction = z.number().min(0).max(1);

/** `1ms`, or one key that names the distribution. */
export const distribution = z.preprocess(
  (value) => (typeof value === 'string' || value === 0 ? { constant: value } : value),
  z
    .strictObject({
      constant: duration.optional(),
      exponential: positive.optional(),
      gamma: z.strictObject({ mean: positive, cv: z.number().min(0.05).max(10) }).optional(),
      uniform: z
        .strictObject({ from: duration, to: positive })
        .refine(({ from, to }) => from <= to, { error: "'from' is after 'to'" })
        .optional(),
      lognormal: z
        .strictObject({ median: positive, p99: positive })
        .refine(({ median, p99 }) => median <= p99, { error: 'the median is above the p99' })
        .optional(),
      profile: z
        .strictObject({
          every: positive,
          median: z.array(positive).min(1).max(limits.points),
          p99: z.array(positive).min(1).max(limits.points),
        })
        .refine(({ median, p99 }) => median.length === p99.length, {
          error: 'has not as many medians as p99s',
        })
        .refine(({ median, p99 }) => median.every((value, i) => value <= p99[i]!), {
          error: 'has a median above its p99',
        })
        .optional(),
    })
    .refine((value) => Object.values(value).filter((one) => one !== undefined).length === 1, {
      error: 'needs one of constant, exponential, gamma, uniform, lognormal, profile',
    }),
);

const perSecond = z.number().positive().max(1e8);

/** Requests per second: a number, or steps. */
const rate = z.union([
  perSecond,
  z.strictObject({ every: positive, per_second: z.array(perSecond).min(1).max(limits.points) }),
]);

const count = (max: number) => z.int().min(1).max(max);

const server = z.strictObject({
  name,
  weight: z.number().positive().max(1e6).default(1),
  service: distribution,
  cores: z
    .union([count(limits.cores), z.literal('unlimited')], {
      error: `is neither a number of cores from 1 to ${limits.cores} nor 'unlimited'`,
    })
    .default(1),
  queue: count(limits.queue).default(4_096),
  distance: duration.default(50_000),
});

const dependency = z.strictObject({
  name,
  latency: distribution,
  used_by: z.array(name).min(1).max(limits.servers),
  fraction: fraction.default(1),
});

const client = z
  .strictObject({
    name,
    connections: count(limits.connections).optional(),
    rate: rate.optional(),
    think: distribution.optional(),
    requests_per_connection: z
      .union([count(1e9), z.literal('unlimited')], {
        error: "is neither a number of requests nor 'unlimited'",
      })
      .default('unlimited'),
    lifetime: distribution.optional(),
    distance: duration.default(50_000),
    ack_delay: duration.optional(),
    timeout: positive.default(1e9),
    from: duration.default(0),
    until: positive.optional(),
  })
  .superRefine(({ rate: isOpen, connections, think }, context) => {
    if (isOpen === undefined && connections === undefined) {
      context.addIssue({
        code: 'custom',
        message: "needs 'connections' (closed loop) or 'rate' (open loop)",
      });
    }
    if (isOpen !== undefined && think !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['think'],
        message: 'has no meaning with a rate: requests come whatever the client thinks',
      });
    }
  });

const event = z
  .strictObject({
    from: duration,
    until: positive.optional(),
    servers: z.array(name).min(1).max(limits.servers),
    speed: z.number().min(0.001).max(1_000).optional(),
    delay: distribution.optional(),
    stalls: z.strictObject({ every: positive, duration: distribution }).optional(),
    crash: z.enum(['reset', 'silent'], { error: "is neither 'reset' nor 'silent'" }).optional(),
    detected_after: duration.optional(),
    failing: fraction.optional(),
    drained: z.literal(true, { error: "is 'true' or not there" }).optional(),
  })
  .superRefine((value, context) => {
    const effects = ['speed', 'delay', 'stalls', 'crash', 'failing', 'drained'] as const;
    if (effects.every((effect) => value[effect] === undefined)) {
      context.addIssue({ code: 'custom', message: `does nothing: give one of ${effects.join(', ')}` });
    }
    if (value.detected_after !== undefined && value.crash === undefined) {
      context.addIssue({ code: 'custom', path: ['detected_after'], message: 'goes with crash' });
    }
  });

/** A scenario file, as written. What its parts mean together is checked when it is read. */
export const scenarioFile = z.strictObject({
  title: z.string().min(1).max(200),
  duration: positive.refine((value) => value <= limits.durationNs, { error: 'is longer than a day' }),
  warmup: duration.default(0),
  seed: z.int().min(0).max(0xffff_ffff).default(1),
  load_balancers: count(limits.balancers).default(1),
  tick: positive.default(1e6),
  slots: z.int().min(11).max(1_048_583).default(4_099),
  affinity: z.boolean().default(true),
  during: z
    .strictObject({ from: duration, until: positive, servers: z.array(name).max(limits.servers).optional() })
    .optional(),
  servers: z.array(server).min(1).max(limits.servers),
  dependencies: z.array(dependency).max(limits.servers).default([]),
  clients: z.array(client).min(1).max(limits.clients),
  events: z.array(event).max(limits.events).default([]),
});

export type ScenarioFile = z.output<typeof scenarioFile>;
export type DistributionFile = z.output<typeof distribution>;
