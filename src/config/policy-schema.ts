import { z } from 'zod';
import { type PolicyChoice, policyNames, policySpecs } from '../control/registry.ts';
import type { SettingSpecs } from '../control/settings.ts';
import { duration, writeDuration } from './scalars.ts';

type Setting = SettingSpecs[string];

/** A policy by its name alone, or as a mapping of its name and its own settings. */
export const policySchema = z
  .union([
    z.discriminatedUnion('name', toOptions(policyNames)),
    z
      .enum(policyNames as [string, ...string[]])
      .meta({ description: 'Its name, with every setting at its default.' }),
  ])
  .transform((value): PolicyChoice => {
    if (typeof value === 'string') return { name: value, settings: {} };
    const { name, ...settings } = value as { name: string } & Record<string, number | string>;
    return { name, settings };
  })
  .meta({ id: 'policy' });

function toOptions([first, ...others]: readonly string[]): [z.ZodObject, ...z.ZodObject[]] {
  return [policyOf(first!), ...others.map(policyOf)];
}

function policyOf(name: string): z.ZodObject {
  const specs = Object.entries(policySpecs[name]!);
  const settings = Object.fromEntries(specs.map(([setting, spec]) => [setting, settingOf(spec).optional()]));
  return z.strictObject({ name: z.literal(name), ...settings });
}

/** What a setting takes; its default stays that of the policy. */
function settingOf(spec: Setting) {
  const description = `${spec.about[0]!.toUpperCase()}${spec.about.slice(1)}.`;
  if ('choices' in spec) {
    return z.enum(spec.choices).meta({ description: `${description} Default: \`${spec.choices[0]}\`.` });
  }
  if (!spec.isDuration) {
    const number = z.number().min(spec.min).max(spec.max);
    return number.meta({ description: `${description} Default: \`${spec.default}\`.` });
  }
  const bounds = `From ${writeDuration(spec.min)} to ${writeDuration(spec.max)}`;
  return duration(spec.min, spec.max).meta({
    description: `${description} ${bounds}. Default: \`${writeDuration(spec.default)}\`.`,
  });
}
