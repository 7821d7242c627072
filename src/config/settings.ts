import type { Listen } from '../admin/listen.ts';
import { socketDefault } from '../admin/server.ts';
import type { PolicyChoice } from '../control/registry.ts';
import type { Encapsulation } from '../datapath/capture/hops.ts';
import type { Fate } from '../datapath/datapath.ts';
import type { DatapathName } from '../datapath/open.ts';
import { type HealthSettings, healthDefault } from '../health/settings.ts';
import { type Cliff, epochDefault, timeoutsDefault } from '../latency/ensemble.ts';
import type { TableMethod } from '../maglev/builder.ts';
import { slotsDefault } from '../maglev/size.ts';
import type { Endpoint } from '../net/address.ts';
import type { Ns } from '../units.ts';

/** Largest weight: far beyond any sensible ratio, and sums of weights stay exact. */
export const weightMax = 1e6;
/** Bounds of the control loop's period: Node's timers count in ms, and control slower than a second is no control. */
export const tickNsMin = 1e6 as Ns;
export const tickNsMax = 1e9 as Ns;
/** Estimators of a running load balancer. */
export const runEstimators = ['auto', 'ensemble'] as const;
export type RunEstimator = (typeof runEstimators)[number];
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** What may become of flows whose backend is lost. */
export const fates = ['keep', 'resteer', 'reset'] as const satisfies readonly Fate[];

export interface BackendSettings {
  /** Its address, as `formatAddress` writes it. */
  readonly name: string;
  /** Above 0, at most `weightMax`. */
  readonly weight: number;
  readonly encapsulation?: Encapsulation;
}

export interface VipSettings {
  readonly endpoint: Endpoint;
  readonly backends: readonly BackendSettings[];
  readonly policy: PolicyChoice;
  /** What packets of flows meet whose backend was removed, is down or in maintenance. */
  readonly lostFlows: Fate;
  readonly health: HealthSettings;
}

/** Everything that `inband run` can be told, by flags or by a file. */
export interface Settings {
  readonly interface: string;
  readonly datapath: DatapathName;
  readonly answerArp: boolean;
  /** At least one. */
  readonly vips: readonly VipSettings[];
  /** Of vips that do not say otherwise. */
  readonly policy: PolicyChoice;
  readonly health: HealthSettings;
  /** Where checks are sent from; the interface's own address if it does not say. */
  readonly healthSource?: string;
  /** What measures; the best that the datapath has if it does not say. */
  readonly estimator?: RunEstimator;
  readonly timeoutsNs: readonly Ns[];
  readonly epochNs: Ns;
  readonly cliff: Cliff;
  readonly tickNs: Ns;
  readonly slots: number;
  /** How tables follow shares. */
  readonly table: TableMethod;
  readonly flows: number;
  /** Of pools that do not say otherwise. */
  readonly lostFlows: Fate;
  /** Directory in bpffs where the datapath goes on without the daemon; one of its own for the interface if it does not say. */
  readonly pin?: string;
  /** Whether forwarding ends with the daemon. */
  readonly detach: boolean;
  /** Directory of what operators change while the daemon runs. */
  readonly state: string;
  readonly socket: string;
  /** Where metrics and the dashboard are served over TCP; nowhere if it does not say. */
  readonly http?: Listen;
  /** Whether that may be an address that other machines reach. */
  readonly httpPublic: boolean;
  readonly logLevel: LogLevel;
  readonly user?: string;
}

/** What nobody has to say. Flows are those of a busy node: 256 MB of memory. */
export const settingsDefault: Omit<Settings, 'interface' | 'vips'> = {
  datapath: 'auto',
  answerArp: false,
  policy: { name: 'balance', settings: {} },
  health: healthDefault,
  timeoutsNs: timeoutsDefault,
  epochNs: epochDefault,
  cliff: 'damped',
  tickNs: tickNsMin,
  slots: slotsDefault,
  table: 'minimal',
  flows: 1_000_000,
  lostFlows: 'keep',
  detach: false,
  state: '/var/lib/inband',
  socket: socketDefault,
  httpPublic: false,
  logLevel: 'info',
};
