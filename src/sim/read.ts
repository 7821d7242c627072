import { basename } from 'node:path';
import { checkText, loadDocument } from '../config/document.ts';
import { invalidDocument } from '../config/problems.ts';
import { checkedFile } from './check.ts';
import type { Distribution } from './distribution.ts';
import type { EventSpec, Scenario } from './scenario.ts';
import { type DistributionFile, openConnectionsDefault, type ScenarioFile } from './schema.ts';

/** Default ACK delay of closed loops: Linux holds an ACK back for 40 ms on a connection that answers promptly. */
const ackDefaultNs = 40e6;

const hint = 'docs/scenarios.md lists all keys; config/scenarios has examples';

/**
 * Reads a scenario from a YAML file, which names it.
 * @throws InbandError `FILE_UNREADABLE`, or `CONFIG_INVALID` with everything that is wrong
 */
export function readScenario(path: string): Scenario {
  return toScenario(loadDocument(path, checkedFile, { hint }), basename(path).replace(/\.ya?ml$/, ''));
}

/** A scenario from the text of a file; throws as `readScenario`. */
export function parseScenario(text: string, file: string): Scenario {
  const { value, problems } = checkText(text, file, checkedFile);
  if (value === undefined) throw invalidDocument(file, problems, hint);
  return toScenario(value, basename(file).replace(/\.ya?ml$/, ''));
}

function toDistribution(file: DistributionFile): Distribution {
  if (file.exponential !== undefined) return { kind: 'exponential', meanNs: file.exponential };
  if (file.gamma) return { kind: 'gamma', meanNs: file.gamma.mean, cv: file.gamma.cv };
  if (file.uniform) return { kind: 'uniform', fromNs: file.uniform.from, toNs: file.uniform.to };
  if (file.lognormal)
    return { kind: 'lognormal', medianNs: file.lognormal.median, p99Ns: file.lognormal.p99 };
  if (file.profile) {
    const { every, median, p99 } = file.profile;
    return { kind: 'profile', everyNs: every, medianNs: median, p99Ns: p99 };
  }
  return { kind: 'constant', valueNs: file.constant! };
}

const none: Distribution = { kind: 'constant', valueNs: 0 };

function toScenario(file: ScenarioFile, name: string): Scenario {
  const serverOf = new Map(file.servers.map((server, i) => [server.name, i]));
  const dependencyOf = new Map(file.dependencies.map((dependency, i) => [dependency.name, i]));
  const indices = (names: readonly string[], of: Map<string, number>) =>
    names.flatMap((one) => of.get(one) ?? []);
  const end = file.duration;
  const events = file.events.map(
    (event): EventSpec => ({
      fromNs: event.from,
      untilNs: event.until ?? end,
      servers: indices(event.servers, serverOf),
      dependencies: indices(event.servers, dependencyOf),
      speed: event.speed ?? 1,
      delay: event.delay && toDistribution(event.delay),
      stalls: event.stalls && {
        everyNs: event.stalls.every,
        duration: toDistribution(event.stalls.duration),
      },
      crash: event.crash,
      detectedNs: event.detected_after ?? Number.POSITIVE_INFINITY,
      failing: event.failing ?? 0,
      drained: event.drained ?? false,
    }),
  );
  return {
    name,
    title: file.title,
    durationNs: end,
    warmupNs: file.warmup,
    ...duringOf(file, events, indices(file.during?.servers ?? [], serverOf)),
    balancers: file.load_balancers,
    tickNs: file.tick,
    slots: file.slots,
    affinity: file.affinity,
    seed: file.seed,
    servers: file.servers.map((server) => ({
      name: server.name,
      weight: server.weight,
      service: toDistribution(server.service),
      cores: server.cores === 'unlimited' ? Number.POSITIVE_INFINITY : server.cores,
      queueMax: server.queue,
      distanceNs: server.distance,
    })),
    dependencies: file.dependencies.map((dependency) => ({
      name: dependency.name,
      latency: toDistribution(dependency.latency),
      usedBy: indices(dependency.used_by, serverOf),
      fraction: dependency.fraction,
    })),
    clients: file.clients.map((client) => ({
      name: client.name,
      connections: client.connections ?? openConnectionsDefault,
      rate:
        client.rate === undefined
          ? undefined
          : typeof client.rate === 'number'
            ? { everyNs: end, perSecond: [client.rate] }
            : { everyNs: client.rate.every, perSecond: client.rate.per_second },
      think: client.think ? toDistribution(client.think) : none,
      requestsMax:
        client.requests_per_connection === 'unlimited'
          ? Number.POSITIVE_INFINITY
          : client.requests_per_connection,
      lifetime: client.lifetime && toDistribution(client.lifetime),
      distanceNs: client.distance,
      ackNs: client.ack_delay ?? (client.rate === undefined ? ackDefaultNs : 0),
      timeoutNs: client.timeout,
      fromNs: client.from,
      untilNs: client.until ?? Number.POSITIVE_INFINITY,
    })),
    events,
  };
}

/** As configured, or from the first event's beginning to the last one's end. */
function duringOf(
  { during, duration, warmup }: ScenarioFile,
  events: readonly EventSpec[],
  focus: readonly number[],
) {
  if (during) return { duringFromNs: during.from, duringUntilNs: during.until, focus };
  if (events.length === 0) return { duringFromNs: duration, duringUntilNs: duration, focus: [] };
  return {
    duringFromNs: Math.max(warmup, Math.min(...events.map(({ fromNs }) => fromNs))),
    duringUntilNs: Math.max(...events.map(({ untilNs }) => untilNs)),
    focus: [...new Set(events.flatMap(({ servers }) => servers))].sort((a, b) => a - b),
  };
}
