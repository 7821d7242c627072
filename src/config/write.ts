import { formatListen } from '../admin/listen.ts';
import { type PolicyChoice, policySpecs } from '../control/registry.ts';
import { formatEndpoint } from '../net/address.ts';
import { healthDocument } from './health-schema.ts';
import { writeDuration } from './scalars.ts';
import type { BackendSettings, Settings } from './settings.ts';

/** Settings as a file has them, with every key and every pool at its vip. Read again it gives the same settings. */
export function toDocument(settings: Settings): Record<string, unknown> {
  const { estimator, user } = settings;
  return {
    interface: settings.interface,
    datapath: settings.datapath,
    answer_arp: settings.answerArp,
    vips: settings.vips.map(({ endpoint, backends, policy, health, lostFlows }) => ({
      address: formatEndpoint(endpoint),
      pool: {
        backends: backends.map(backendDocument),
        health: healthDocument(health),
        lost_flows: lostFlows,
      },
      policy: policyDocument(policy),
    })),
    policy: policyDocument(settings.policy),
    health: {
      ...healthDocument(settings.health),
      ...(settings.healthSource !== undefined && { source: settings.healthSource }),
    },
    ...(estimator !== undefined && { estimator }),
    ensemble: {
      timeouts: settings.timeoutsNs.map(writeDuration),
      epoch: writeDuration(settings.epochNs),
      cliff: settings.cliff,
    },
    tick: writeDuration(settings.tickNs),
    slots: settings.slots,
    table: settings.table,
    flows: settings.flows,
    lost_flows: settings.lostFlows,
    ...(settings.pin !== undefined && { pin: settings.pin }),
    detach: settings.detach,
    state: settings.state,
    admin: {
      socket: settings.socket,
      ...(settings.http && { http: formatListen(settings.http) }),
      http_public: settings.httpPublic,
    },
    log: { level: settings.logLevel },
    ...(user !== undefined && { user }),
  };
}

const backendDocument = ({ name, weight, encapsulation = 'l2' }: BackendSettings) => ({
  address: name,
  weight,
  encap: encapsulation,
});

/** A policy with the settings that were given, durations as text. */
export function policyDocument({ name, settings }: PolicyChoice): Record<string, unknown> {
  const specs = policySpecs[name]!;
  const entries = Object.entries(settings).map(([setting, value]) => {
    const spec = specs[setting];
    const isDuration = spec !== undefined && 'isDuration' in spec && spec.isDuration;
    return [setting, isDuration ? writeDuration(Number(value)) : value];
  });
  return { name, ...Object.fromEntries(entries) };
}
