import type { PolicyChoice } from '../control/registry.ts';
import { createTableBuilder, disruption } from '../maglev/builder.ts';
import { noBackend } from '../maglev/shares.ts';
import { formatEndpoint } from '../net/address.ts';
import { healthDocument } from './health-schema.ts';
import type { BackendSettings, Settings, VipSettings } from './settings.ts';
import { policyDocument, toDocument } from './write.ts';

export type Change = 'added' | 'removed' | 'changed' | 'kept';

/** A setting by its key in the file; null where it is not there. */
export interface SettingChange {
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** A backend of a vip that is not as before; null where it is not there. */
export interface BackendChange {
  readonly backend: string;
  /** `kept` if it is itself the same and only holds other slots. */
  readonly change: Change;
  readonly weight_before: number | null;
  readonly weight_after: number | null;
  readonly encap_before: string | null;
  readonly encap_after: string | null;
  /** Slots by weight, before any feedback. */
  readonly slots_before: number;
  readonly slots_after: number;
  /** Flows that it holds now, and that began there since it forwards; null unless asked of a daemon. */
  readonly flows_held: number | null;
  readonly flows_begun: number | null;
}

export interface VipChange {
  readonly vip: string;
  readonly change: Exclude<Change, 'kept'>;
  /** Size of the table; null where there is none. */
  readonly slots_before: number | null;
  readonly slots_after: number | null;
  /** Slots whose backend is another one; null for a table of another size, of which every flow is looked up anew. */
  readonly slots_moved: number | null;
  /** The fewest that could move: what backends lose; null as above. */
  readonly slots_moved_min: number | null;
  readonly policy_before: unknown;
  readonly policy_after: unknown;
  /** Other settings of its pool: checks, and what lost flows meet. */
  readonly settings: readonly SettingChange[];
  readonly backends: readonly BackendChange[];
}

/** What becomes of a configuration when another takes its place. */
export interface Difference {
  readonly vips: readonly VipChange[];
  readonly vips_unchanged: number;
  /** Everything beside vips. */
  readonly settings: readonly SettingChange[];
}

/** Flows of a backend of a vip; null where that is not known. */
export type FlowsOf = (vip: string, backend: string) => Flows | null;

/** Those that it holds, and those that began there. */
export interface Flows {
  readonly held: number;
  readonly begun: number;
}

/**
 * What `after` changes in `before`, in slots of tables by weight that follow each other as `after` says.
 * @throws InbandError `CONFIG_INVALID` for settings of which no table can be made
 */
export function difference(before: Settings, after: Settings, flowsOf: FlowsOf = () => null): Difference {
  const old = byName(before.vips);
  const next = byName(after.vips);
  const names = [...new Set([...old.keys(), ...next.keys()])];
  const changed = names.filter((name) => {
    return !isSame(old.get(name), next.get(name)) || before.slots !== after.slots;
  });
  const vips = changed.map((name) => {
    const was = side(old.get(name), before);
    const will = side(next.get(name), after, was);
    return vipChange(name, was, will, (backend) => flowsOf(name, backend));
  });
  return { vips, vips_unchanged: names.length - changed.length, settings: settingChanges(before, after) };
}

/** A vip and its table before or after; a vip that is not there has an empty one. */
interface Side {
  readonly vip: VipSettings | undefined;
  readonly backends: readonly BackendSettings[];
  readonly table: Uint16Array;
}

const byName = (vips: readonly VipSettings[]): Map<string, VipSettings> =>
  new Map(vips.map((vip) => [formatEndpoint(vip.endpoint), vip]));

const isSame = (a: VipSettings | undefined, b: VipSettings | undefined): boolean =>
  a !== undefined && b !== undefined && textOf(a) === textOf(b);

/** What a vip is, whatever the order of its backends: tables do not depend on it. */
const textOf = ({ backends, policy, ...pool }: VipSettings): string =>
  JSON.stringify([
    policyDocument(policy),
    poolDocument(pool),
    backends.map((one) => [one.name, one.weight, encapOf(one)]).sort(),
  ]);

const poolDocument = ({ health, lostFlows }: Pick<VipSettings, 'health' | 'lostFlows'>) => ({
  health: healthDocument(health),
  lost_flows: lostFlows,
});

/** @param known the side before: its table is the same if it is of the same backends, or what slots move from */
function side(vip: VipSettings | undefined, { slots, table: method }: TableSettings, known?: Side): Side {
  if (!vip) return { vip, backends: [], table: new Uint16Array(0) };
  const { backends } = vip;
  if (known?.table.length === slots && JSON.stringify(known.backends) === JSON.stringify(backends)) {
    return { vip, backends, table: known.table };
  }
  const builder = createTableBuilder(backends, { slots, method });
  if (method === 'stateless' || !known?.vip || known.table.length !== slots) {
    return { vip, backends, table: builder.createTable() };
  }
  const places = known.backends.map(({ name }) => backends.findIndex((backend) => backend.name === name));
  const table = known.table.map((backend) => (places[backend]! < 0 ? noBackend : places[backend]!));
  const weights = Float64Array.from(backends, ({ weight }) => weight);
  builder.build(weights, table);
  return { vip, backends, table };
}

type TableSettings = Pick<Settings, 'slots' | 'table'>;

function vipChange(
  name: string,
  before: Side,
  after: Side,
  flowsOf: (backend: string) => Flows | null,
): VipChange {
  const backends = backendChanges(before, after, flowsOf);
  const isComparable = before.table.length === after.table.length;
  const change = !before.vip ? 'added' : after.vip ? 'changed' : 'removed';
  return {
    vip: name,
    change,
    slots_before: before.vip ? before.table.length : null,
    slots_after: after.vip ? after.table.length : null,
    slots_moved: isComparable ? disruption(named(before), named(after)).moved : null,
    slots_moved_min: isComparable ? lost(backends) : null,
    policy_before: policyOf(before.vip?.policy),
    policy_after: policyOf(after.vip?.policy),
    settings:
      before.vip && after.vip ? changesBetween(poolDocument(before.vip), poolDocument(after.vip)) : [],
    backends: backends.filter((one) => one.change !== 'kept' || one.slots_before !== one.slots_after),
  };
}

const named = ({ backends, table }: Side) => ({ names: backends.map(({ name }) => name), table });

const policyOf = (policy: PolicyChoice | undefined) => (policy ? policyDocument(policy) : null);

const lost = (backends: readonly BackendChange[]): number =>
  backends.reduce((sum, one) => sum + Math.max(0, one.slots_before - one.slots_after), 0);

function backendChanges(
  before: Side,
  after: Side,
  flowsOf: (backend: string) => Flows | null,
): BackendChange[] {
  const slotsBefore = slotCounts(before);
  const slotsAfter = slotCounts(after);
  const old = new Map(before.backends.map((one) => [one.name, one]));
  const next = new Map(after.backends.map((one) => [one.name, one]));
  return [...new Set([...old.keys(), ...next.keys()])].map((backend) => {
    const was = old.get(backend);
    const will = next.get(backend);
    const flows = was ? flowsOf(backend) : null;
    return {
      backend,
      change: changeOf(was, will),
      weight_before: was?.weight ?? null,
      weight_after: will?.weight ?? null,
      encap_before: was ? encapOf(was) : null,
      encap_after: will ? encapOf(will) : null,
      slots_before: slotsBefore.get(backend) ?? 0,
      slots_after: slotsAfter.get(backend) ?? 0,
      flows_held: flows?.held ?? null,
      flows_begun: flows?.begun ?? null,
    };
  });
}

function changeOf(was: BackendSettings | undefined, will: BackendSettings | undefined): Change {
  if (!was) return 'added';
  if (!will) return 'removed';
  return was.weight === will.weight && encapOf(was) === encapOf(will) ? 'kept' : 'changed';
}

const encapOf = ({ encapsulation = 'l2' }: BackendSettings): string => encapsulation;

function slotCounts({ backends, table }: Side): Map<string, number> {
  const counts = new Uint32Array(backends.length);
  for (const backend of table) counts[backend]!++;
  return new Map(backends.map(({ name }, i) => [name, counts[i]!]));
}

/** What differs beside vips, by keys of the file. */
export const settingChanges = (before: Settings, after: Settings): SettingChange[] =>
  changesBetween(toDocument({ ...before, vips: [] }), toDocument({ ...after, vips: [] }));

type Document = Readonly<Record<string, unknown>>;

function changesBetween(before: Document, after: Document): SettingChange[] {
  const old = new Map(flatten(before));
  const next = new Map(flatten(after));
  return [...new Set([...old.keys(), ...next.keys()])].flatMap((key) => {
    const change = { key, before: old.get(key) ?? null, after: next.get(key) ?? null };
    return JSON.stringify(change.before) === JSON.stringify(change.after) ? [] : [change];
  });
}

/** Values by their path; a policy is one value, since its settings mean nothing without its name. */
function flatten(document: Document, path = ''): [string, unknown][] {
  return Object.entries(document).flatMap(([key, value]): [string, unknown][] => {
    const isMapping = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isMapping || key === 'policy') return [[path + key, value]];
    return flatten(value as Document, `${path}${key}.`);
  });
}
