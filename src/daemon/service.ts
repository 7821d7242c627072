import type { AdminState } from '../admin/answers.ts';
import type { ServiceView } from '../admin/view.ts';
import type { BackendSettings, VipSettings } from '../config/settings.ts';
import type { Policy } from '../control/policy.ts';
import { Pool } from '../control/pool.ts';
import { makePolicy } from '../control/registry.ts';
import type { Datapath, LiveWindow, PlacedVip } from '../datapath/datapath.ts';
import type { BackendHealth } from '../health/health.ts';
import { type BackendSignals, noSignals } from '../latency/signals.ts';
import { prepareTable, type TableMethod } from '../maglev/builder.ts';
import type { Members } from '../maglev/population.ts';
import { type Endpoint, formatEndpoint } from '../net/address.ts';
import { ns } from '../units.ts';
import { monotonicNs } from './clock.ts';
import { carriedShares, countedShares } from './initial-shares.ts';
import type { Overrides } from './overrides.ts';

/** What is read of a backend; it goes on from one service to the next as long as its number stays. */
export interface Meters {
  /** What the policy acts on, by kind. */
  readonly windows: readonly LiveWindow[];
  /** What status shows: by kind, the window before and the one that fills now. */
  readonly shown: readonly (readonly [LiveWindow, LiveWindow])[];
  readonly signals: BackendSignals;
}

/** What a service is made of. */
export interface ServiceParts {
  readonly datapath: Datapath;
  readonly vip: VipSettings;
  readonly placed: PlacedVip;
  readonly overrides: Overrides;
  /** How its table follows shares, and what of it was made beforehand. */
  readonly method: TableMethod;
  readonly prepared?: Members | undefined;
  /** Its own, made beforehand. */
  readonly policy?: Policy | undefined;
  /** What served the vip until now. */
  readonly before?: Service | undefined;
}

const notLookedAt = 'not looked at yet';
/** Before a monitor looked at a backend. */
const unchecked: BackendHealth = {
  state: 'unchecked',
  sinceNs: ns(0),
  check: 'none',
  reason: '',
  ejected: null,
};

/** A vip with its pool, while the load balancer runs: as long as its backends, weights and policy stay. */
export class Service implements ServiceView {
  readonly vip: Endpoint;
  readonly name: string;
  readonly place: number;
  readonly numbers: readonly number[];
  readonly pool: Pool;
  readonly signals: readonly BackendSignals[];
  readonly windows: readonly (readonly LiveWindow[])[];
  readonly meters: readonly Meters[];
  readonly states: AdminState[];
  readonly health: BackendHealth[];
  readonly obstacles: (string | undefined)[];
  /** Per backend, whether packets could be sent to it at any time. */
  readonly wasReachable: boolean[];
  /** Per backend, whether the log says that packets cannot be sent to it. */
  readonly isToldUnusable: boolean[];
  readonly bornNs = monotonicNs();
  /** Weights as configured; those of `pool` are what an operator made of them. */
  readonly configured: readonly BackendSettings[];
  /** Per backend, 1 where an operator gave it the weight 0. */
  readonly muted: Uint8Array;
  /** Per backend, whether it held slots before this process: it is taken to live until something else is known. */
  readonly isAdopted: readonly boolean[];
  /** Per backend, whether it is new beside others that run: it is to begin gently. */
  readonly joins: boolean[];
  /** What its tables are made from. */
  readonly prepared: Members;
  settings: VipSettings;
  generation = 0;
  slotsMoved = 0;
  /** Whether its table is still to be written for the first time; nothing is decided until then. */
  isPending = true;
  /** When a slow start last went on. */
  rampedNs = Number.NEGATIVE_INFINITY;
  /** Whether `/history` knows its backends. */
  isNoted = false;

  /** @throws InbandError `USAGE` for settings of a policy that are out of range */
  constructor(parts: ServiceParts) {
    const { datapath, vip, placed, overrides, method, before } = parts;
    this.settings = vip;
    this.vip = vip.endpoint;
    this.name = formatEndpoint(vip.endpoint);
    this.place = placed.vip;
    this.numbers = placed.backends;
    this.configured = vip.backends;
    const { name, numbers } = this;
    const wanted = vip.backends.map((backend) => overrides.of(name, backend.name));
    this.states = wanted.map(({ state }) => state);
    this.muted = Uint8Array.from(wanted, ({ weight }) => (weight === 0 ? 1 : 0));
    const backends = effective(vip, overrides);
    const earlier = numbers.map((number) => before?.numbers.indexOf(number) ?? -1);
    this.meters = numbers.map((number, b) => before?.meters[earlier[b]!] ?? metersOf(datapath, number));
    const { kinds } = datapath;
    this.windows = kinds.map((_, k) => this.meters.map(({ windows }) => windows[k]!));
    this.signals = this.meters.some(({ signals }) => signals === noSignals)
      ? []
      : this.meters.map(({ signals }) => signals);
    const counted = before || !datapath.adopted ? undefined : countSlots(datapath, placed);
    this.isAdopted = numbers.map((_, b) => counted !== undefined && counted[b]! > 0);
    this.joins = earlier.map((was) => before !== undefined && was < 0);
    // A datapath that was running has tables of the size that they have.
    const slots = datapath.slots(placed.vip).length;
    const known = parts.prepared?.slots === slots ? parts.prepared : undefined;
    this.prepared = known ?? prepareTable(backends, { slots, method });
    const weights = backends.map(({ weight }) => weight);
    this.pool = new Pool({
      policy: parts.policy ?? makePolicy(vip.policy),
      backends,
      kinds,
      windows: this.windows,
      signals: this.signals,
      table: { slots, numbers, method, prepared: this.prepared },
      slowStartNs: vip.health.slowStartNs,
      ...(before && { decisions: before.pool.decisions.carried(earlier) }),
      // Without feedback shares are the weights, whatever they were with another policy or other weights.
      ...(vip.policy.name !== 'static' && sharesBefore(weights, earlier, before, counted)),
    });
    this.obstacles = earlier.map((b) => (b < 0 ? notLookedAt : before!.obstacles[b]));
    this.wasReachable = earlier.map((b) => b >= 0 && before!.wasReachable[b]!);
    this.isToldUnusable = earlier.map((b) => b >= 0 && before!.isToldUnusable[b]!);
    this.health = earlier.map((b) => before?.health[b] ?? unchecked);
    if (before) {
      this.generation = before.generation;
      this.slotsMoved = before.slotsMoved;
      for (const windows of this.windows) for (const window of windows) begin(window);
    }
    for (let b = 0; b < numbers.length; b++) {
      this.#look(b);
      this.pool.setUsable(b, this.obstacles[b] === undefined || this.isAdopted[b]!);
    }
  }

  /** Takes what an operator wants of a backend; a weight of 0 is one to be silent about. */
  setState(b: number, state: AdminState): void {
    this.states[b] = state;
    this.#look(b);
  }

  #look(b: number): void {
    this.pool.setReady(b, this.states[b] === 'ready' && this.muted[b] === 0);
  }

  /** The weight that counts: 0 where an operator gave that. */
  weightOf(b: number): number {
    return this.muted[b] === 1 ? 0 : this.pool.backends[b]!.weight;
  }

  /** Slots of each backend, counted. */
  slotsOf(datapath: Datapath): readonly number[] {
    return countSlots(datapath, { vip: this.place, backends: this.numbers });
  }

  has(backend: string): boolean {
    return this.placeOf(backend) >= 0;
  }

  /** Place of a backend in the lists; -1 if it has none. */
  placeOf(backend: string): number {
    return this.configured.findIndex(({ name }) => name === backend);
  }
}

/** Backends with the weights that an operator gave them; one that shall have no new flows keeps the one configured. */
export function effective({ endpoint, backends }: VipSettings, overrides: Overrides): BackendSettings[] {
  const vip = formatEndpoint(endpoint);
  return backends.map((backend) => {
    const { weight } = overrides.of(vip, backend.name);
    return weight === null || weight === 0 ? backend : { ...backend, weight };
  });
}

/** Shares to begin with: those of the service before, or those of the slots that a process before this one left. */
function sharesBefore(
  weights: readonly number[],
  earlier: readonly number[],
  before: Service | undefined,
  counted: readonly number[] | undefined,
): { shares?: ArrayLike<number> } {
  if (before) return { shares: carriedShares(weights, earlier, before.pool) };
  return counted ? { shares: countedShares(weights, counted) } : {};
}

function metersOf(datapath: Datapath, number: number): Meters {
  const windows = (): LiveWindow[] => datapath.kinds.map((_, kind) => datapath.window(number, kind));
  const [before, after] = [windows(), windows()];
  return {
    windows: windows(),
    shown: before.map((window, k) => [window, after[k]!]),
    signals: datapath.signals(number),
  };
}

/** Starts a window, unless it has only just begun. */
function begin(window: LiveWindow): void {
  window.update();
  if (window.count > 0) window.reset();
}

/** Slots by number, while they are counted. */
const counts = new Uint32Array(0x1_0000);

function countSlots(datapath: Datapath, { vip, backends }: PlacedVip): readonly number[] {
  counts.fill(0);
  const slots = datapath.slots(vip);
  for (let slot = 0; slot < slots.length; slot++) counts[slots[slot]!]!++;
  return backends.map((number) => counts[number]!);
}
