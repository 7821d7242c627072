import { InbandError } from '../errors.ts';
import { formatDuration, parseDuration } from '../units.ts';

/** A number that a policy can be told: what it means, its bounds, and what it is otherwise. Durations are in ns. */
export interface NumberSetting {
  readonly about: string;
  readonly isDuration: boolean;
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

/** One of several words that a policy can be told; the first is what it is otherwise. */
export interface ChoiceSetting<Choice extends string> {
  readonly about: string;
  readonly choices: readonly [Choice, ...Choice[]];
}

export type SettingSpecs = Readonly<Record<string, NumberSetting | ChoiceSetting<string>>>;

/** What a policy with these settings is constructed with. */
export type SettingsOf<Specs extends SettingSpecs> = {
  readonly [Name in keyof Specs]: Specs[Name] extends ChoiceSetting<infer Choice> ? Choice : number;
};

export function numberSetting(about: string, value: number, min: number, max: number): NumberSetting {
  return { about, isDuration: false, min, max, default: value };
}

/** @param valueNs and the bounds, in ns */
export function durationSetting(about: string, valueNs: number, min: number, max: number): NumberSetting {
  return { about, isDuration: true, min, max, default: valueNs };
}

export function choiceSetting<Choice extends string>(
  about: string,
  ...choices: readonly [Choice, ...Choice[]]
): ChoiceSetting<Choice> {
  return { about, choices };
}

/** All settings, those that are not given at their defaults. */
export function withDefaults<Specs extends SettingSpecs>(
  specs: Specs,
  given: Partial<SettingsOf<Specs>>,
): SettingsOf<Specs> {
  const defaults = Object.entries(specs).map(([name, spec]) => [
    name,
    'choices' in spec ? spec.choices[0] : spec.default,
  ]);
  return { ...Object.fromEntries(defaults), ...given };
}

/**
 * Checks settings that were not written by a user, but by a program.
 * @throws InbandError `USAGE` naming the setting and its bounds
 */
export function checkSettings(policy: string, specs: SettingSpecs, settings: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(settings)) {
    const spec = Object.hasOwn(specs, name) ? specs[name]! : undefined;
    if (!spec) throw unknownSetting(policy, name, specs);
    const isAllowed =
      'choices' in spec
        ? spec.choices.includes(value as string)
        : typeof value === 'number' && value >= spec.min && value <= spec.max;
    if (!isAllowed) throw outOfRange(policy, name, String(value), spec);
  }
}

/**
 * Settings from how they are written, `NAME=VALUE` each.
 * @throws InbandError `USAGE` naming the setting, its bounds or what there is
 */
export function parseSettings(
  policy: string,
  specs: SettingSpecs,
  written: readonly string[],
): Record<string, number | string> {
  const settings: Record<string, number | string> = {};
  for (const text of written) {
    const at = text.indexOf('=');
    const name = at < 0 ? text : text.slice(0, at);
    const spec = Object.hasOwn(specs, name) ? specs[name]! : undefined;
    if (!spec) throw unknownSetting(policy, name, specs);
    const value = at < 0 ? '' : text.slice(at + 1);
    settings[name] = readValue(policy, name, value, spec);
  }
  checkSettings(policy, specs, settings);
  return settings;
}

function readValue(policy: string, name: string, text: string, spec: SettingSpecs[string]): number | string {
  if ('choices' in spec) return text;
  if (spec.isDuration) return parseDuration(text, `policy ${policy}: ${name}`);
  if (text.trim() === '' || Number.isNaN(Number(text))) throw outOfRange(policy, name, text, spec);
  return Number(text);
}

/** `penalty=DURATION, ewma=plain|peak`: the settings of a policy as they are written; empty without any. */
export function settingsUsage(specs: SettingSpecs): string {
  return Object.entries(specs)
    .map(([name, spec]) => {
      if ('choices' in spec) return `${name}=${spec.choices.join('|')}`;
      return `${name}=${spec.isDuration ? formatDuration(spec.default) : spec.default}`;
    })
    .join(', ');
}

function unknownSetting(policy: string, name: string, specs: SettingSpecs): InbandError {
  return new InbandError('USAGE', `policy ${policy}: '${name}' is not a setting of it`, {
    hint: settingsUsage(specs) === '' ? 'it has none' : `it has ${settingsUsage(specs)}`,
  });
}

function outOfRange(policy: string, name: string, value: string, spec: SettingSpecs[string]): InbandError {
  const shown = (bound: number) =>
    'isDuration' in spec && spec.isDuration ? formatDuration(bound) : String(bound);
  const hint =
    'choices' in spec ? `one of ${spec.choices.join(', ')}` : `give ${shown(spec.min)} to ${shown(spec.max)}`;
  return new InbandError('USAGE', `policy ${policy}: ${name}: '${value}' is out of range`, { hint });
}
