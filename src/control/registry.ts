import { InbandError } from '../errors.ts';
import { Balance, balanceSettings } from './balance.ts';
import { C3, c3Settings } from './c3.ts';
import { L3, l3Settings } from './l3.ts';
import { PeakEwma, peakEwmaSettings } from './peak-ewma.ts';
import type { Policy } from './policy.ts';
import { Prequal, prequalSettings } from './prequal.ts';
import { parseSettings, type SettingSpecs, settingsUsage } from './settings.ts';
import { Shift, shiftSettings } from './shift.ts';
import { Static } from './static.ts';

interface Entry {
  readonly settings: SettingSpecs;
  readonly make: (settings: Record<string, number | string>) => Policy;
}

/**
 * KnapsackLB (Gandhi and Narayana, 2024) is not among them: it needs the latency of each server at weights that it does not
 * have, which it finds by probing with them, and its curves and their fit are not published in what is known of it.
 */
const policies: Record<string, Entry> = {
  balance: { settings: balanceSettings, make: (settings) => new Balance(settings) },
  shift: { settings: shiftSettings, make: ({ alpha }) => new Shift(alpha as number | undefined) },
  static: { settings: {}, make: () => new Static() },
  l3: { settings: l3Settings, make: (settings) => new L3(settings) },
  c3: { settings: c3Settings, make: (settings) => new C3(settings) },
  'peak-ewma': { settings: peakEwmaSettings, make: (settings) => new PeakEwma(settings) },
  prequal: { settings: prequalSettings, make: (settings) => new Prequal(settings) },
};

export const policyNames = Object.keys(policies);

/** Settings that policies share; each may be written with the name instead. */
export interface PolicySettings {
  /** Fraction of total traffic that one decision may move; each policy has its own otherwise. */
  readonly alpha?: number | undefined;
}

/** What each policy can be told. */
export const policySpecs: Readonly<Record<string, SettingSpecs>> = Object.fromEntries(
  Object.entries(policies).map(([name, { settings }]) => [name, settings]),
);

/** A policy by name, with those of its settings that are given; durations in ns. */
export interface PolicyChoice {
  readonly name: string;
  readonly settings: Readonly<Record<string, number | string>>;
}

/**
 * Reads how a policy is written: `NAME[:SETTING=VALUE]...`, for example `l3:ewma=peak:penalty=300ms`.
 * @throws InbandError `USAGE` naming what there is, or for settings out of range
 */
export function parsePolicy(written: string, { alpha }: PolicySettings = {}): PolicyChoice {
  const [name = '', ...settings] = written.split(':');
  const entry = Object.hasOwn(policies, name) ? policies[name]! : undefined;
  if (!entry) {
    throw new InbandError('USAGE', `policy: '${name}' is not known`, {
      hint: `one of ${policyNames.join(', ')}`,
    });
  }
  const given = parseSettings(name, entry.settings, settings);
  const takesAlpha = alpha !== undefined && 'alpha' in entry.settings && given.alpha === undefined;
  return { name, settings: takesAlpha ? { ...given, alpha } : given };
}

/**
 * Makes a policy as it was chosen; each vip needs its own.
 * @throws InbandError `USAGE` for settings out of range
 */
export function makePolicy({ name, settings }: PolicyChoice): Policy {
  return policies[name]!.make(settings);
}

/**
 * Makes a policy from how it is written.
 * @throws InbandError as `parsePolicy` and `makePolicy` do
 */
export function createPolicy(written: string, settings: PolicySettings = {}): Policy {
  return makePolicy(parsePolicy(written, settings));
}

/** Every policy with its settings and what these are otherwise, a line each. */
export function policyUsage(): string {
  return policyNames
    .map((name) => {
      const usage = settingsUsage(policies[name]!.settings);
      return usage === '' ? name : `${name}: ${usage}`;
    })
    .join('\n');
}
