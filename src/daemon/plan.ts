import type { Changes } from '../admin/answers.ts';
import type { BackendSettings, Settings, VipSettings } from '../config/settings.ts';
import { policyDocument } from '../config/write.ts';
import type { Policy } from '../control/policy.ts';
import { makePolicy } from '../control/registry.ts';
import { prepareTable, type TableMethod } from '../maglev/builder.ts';
import type { Members } from '../maglev/population.ts';
import { formatEndpoint } from '../net/address.ts';
import type { Overrides } from './overrides.ts';
import { effective, type Service } from './service.ts';

/** A vip as it shall be served. */
export interface PlannedVip {
  readonly vip: VipSettings;
  /** What serves it now. */
  readonly before: Service | undefined;
  /** Whether that can go on. */
  readonly stays: boolean;
  /** The policy of a service to be made, and what its tables are made from. */
  readonly policy: Policy | undefined;
  readonly prepared: Members | undefined;
}

/** What shall be served, in the order of the settings, and how much of it is new. */
export interface Plan {
  readonly vips: readonly PlannedVip[];
  readonly changes: { readonly vips: Changes; readonly backends: Changes };
}

/** Work that others wait for is done for so long at a time. */
const sliceMs = 2;

/**
 * Finds out what is to be done so that settings are served, without doing any of it; the control loop has its turns
 * meanwhile.
 * @throws InbandError `CONFIG_INVALID` for settings of which no table can be made, `USAGE` for those of a policy
 */
export async function planOf(
  services: readonly Service[],
  settings: Settings,
  overrides: Overrides,
): Promise<Plan> {
  const serving = new Map(services.map((service) => [service.name, service]));
  const slots = services[0]?.prepared.slots ?? settings.slots;
  const turns = new Turns();
  const vips: PlannedVip[] = [];
  for (const vip of settings.vips) {
    const before = serving.get(formatEndpoint(vip.endpoint));
    const stays = before !== undefined && isServed(before, vip, overrides);
    const prepared = stays
      ? undefined
      : preparedFor(before, effective(vip, overrides), slots, settings.table);
    vips.push({ vip, before, stays, policy: stays ? undefined : makePolicy(vip.policy), prepared });
    await turns.next();
  }
  return { vips, changes: changesOf(services, vips, overrides) };
}

/** Lets timers and sockets have their turn now and then. */
export class Turns {
  #startMs = performance.now();

  /** To be awaited between two pieces of work. */
  async next(): Promise<void> {
    if (performance.now() - this.#startMs < sliceMs) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#startMs = performance.now();
  }
}

/** Whether a service serves a vip just as it shall be. */
function isServed(service: Service, vip: VipSettings, overrides: Overrides): boolean {
  const muted = vip.backends.map(({ name }) => (overrides.of(service.name, name).weight === 0 ? 1 : 0));
  return (
    sameText(policyDocument(service.settings.policy), policyDocument(vip.policy)) &&
    sameText(effective(vip, overrides).map(textOf), service.pool.backends.map(textOf)) &&
    sameText(muted, [...service.muted])
  );
}

const sameText = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const textOf = ({ name, weight, encapsulation = 'l2' }: BackendSettings): string =>
  `${name} ${weight} ${encapsulation}`;

/**
 * What tables are made from, anew unless the service before has the same.
 * @param slots of tables, which a datapath that was running has as they were
 */
function preparedFor(
  before: Service | undefined,
  backends: readonly BackendSettings[],
  slots: number,
  method: TableMethod,
): Members {
  const known = before?.prepared;
  const isSame =
    known?.names.length === backends.length &&
    backends.every(({ name, weight }, b) => known.names[b] === name && known.weights[b] === weight);
  return isSame ? known : prepareTable(backends, { slots, method });
}

function changesOf(
  services: readonly Service[],
  vips: readonly PlannedVip[],
  overrides: Overrides,
): Plan['changes'] {
  const ofVips = { added: 0, removed: 0, changed: 0, unchanged: 0 };
  const ofBackends = { ...ofVips };
  const left = new Set(services);
  for (const { vip, before, stays } of vips) {
    if (before) left.delete(before);
    ofVips[!before ? 'added' : stays ? 'unchanged' : 'changed']++;
    const old = new Map(before?.pool.backends.map((one) => [one.name, textOf(one)]));
    for (const backend of effective(vip, overrides)) {
      const was = old.get(backend.name);
      old.delete(backend.name);
      ofBackends[was === undefined ? 'added' : was === textOf(backend) ? 'unchanged' : 'changed']++;
    }
    ofBackends.removed += old.size;
  }
  ofVips.removed = left.size;
  for (const { numbers } of left) ofBackends.removed += numbers.length;
  return { vips: ofVips, backends: ofBackends };
}
