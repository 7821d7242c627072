import type { Logger } from 'pino';
import { z } from 'zod';
import { adminStates, type ChangeAnswer, type ChangeRequest } from '../admin/answers.ts';
import { checked, Refusal } from '../admin/refusal.ts';
import { weightMax } from '../config/settings.ts';
import { suggest } from '../config/similar.ts';
import { InbandError } from '../errors.ts';
import { formatAddress, formatEndpoint, parseAddress, parseEndpoint } from '../net/address.ts';
import type { Control } from './control.ts';
import type { Service } from './service.ts';

/** Letters of an address with port and protocol. */
const nameMax = 64;

/** Names of vips and backends in the form that all of the program writes; what is none stays as it is. */
export const vipName = z
  .string()
  .min(1)
  .max(nameMax)
  .transform((text) => {
    try {
      return formatEndpoint(parseEndpoint(text, ''));
    } catch (error) {
      if (error instanceof InbandError) return text;
      throw error;
    }
  });
export const backendName = z
  .string()
  .min(1)
  .max(nameMax)
  .transform((text) => {
    const address = parseAddress(text.trim());
    return address ? formatAddress(address.family, ...address.words) : text;
  });

const requestSchema = z
  .strictObject({
    backend: backendName,
    vip: vipName.optional(),
    state: z.enum(adminStates).optional(),
    weight: z.number().min(0).max(weightMax).nullable().optional(),
  })
  .refine(({ state, weight }) => state !== undefined || weight !== undefined, {
    error: 'nothing to change; give state or weight',
  });

/** A backend of a vip. */
interface Place {
  readonly vip: string;
  readonly backend: string;
}

/**
 * Does what an operator wants of a backend, in all vips that have it or in one, and writes it down.
 * @param body as POST /backend takes it
 * @throws InbandError for a body that is none, a vip or backend that is not there, and as `Control.apply` does
 */
export function change(control: Control, body: unknown, log: Logger): Promise<ChangeAnswer> {
  const request: ChangeRequest = definedOnly(checked(requestSchema, body, 'the body'));
  return control.inTurn(async () => {
    const places = placesOf(control.services, request);
    await override(control, places, request);
    const services = new Map(control.services.map((service) => [service.name, service]));
    control.overrides.bound((vip, backend) => services.get(vip)?.has(backend) ?? false);
    const changed = places.map(({ vip, backend }) => {
      const service = services.get(vip)!;
      const b = service.placeOf(backend);
      const { held } = control.datapath.traffic(service.numbers[b]!);
      return { vip, backend, state: service.states[b]!, weight: service.weightOf(b), flows_held: held };
    });
    for (const { flows_held: _, ...about } of changed) log.info({ event: 'backend_changed', ...about });
    return { schema: 'inband.change/1', changed, ...(await control.overrides.save()) };
  });
}

async function override(
  control: Control,
  places: readonly Place[],
  { state, weight }: ChangeRequest,
): Promise<void> {
  const { overrides } = control;
  const wanted = { ...(state !== undefined && { state }), ...(weight !== undefined && { weight }) };
  const before = places.map(({ vip, backend }) => overrides.of(vip, backend));
  for (const { vip, backend } of places) overrides.set(vip, backend, wanted);
  if (weight !== undefined) {
    try {
      await control.apply(control.settings);
    } catch (error) {
      for (const [i, { vip, backend }] of places.entries()) overrides.set(vip, backend, before[i]!);
      throw error;
    }
  }
  if (state === undefined) return;
  for (const service of control.services) {
    const here = places.filter(({ vip }) => vip === service.name);
    for (const { backend } of here) service.setState(service.placeOf(backend), state);
    if (here.length > 0) control.stateChanged(service);
  }
}

/** Where a backend is. @throws Refusal if it is nowhere */
function placesOf(services: readonly Service[], { vip, backend }: ChangeRequest): readonly Place[] {
  const asked = vip === undefined ? services : services.filter(({ name }) => name === vip);
  if (asked.length === 0) {
    const names = services.map(({ name }) => name);
    throw new Refusal(404, `there is no vip ${vip}`, { hint: suggest(vip!, names.slice(0, namesMax)) });
  }
  const found = asked.filter((service) => service.has(backend));
  if (found.length > 0) return found.map(({ name }) => ({ vip: name, backend }));
  const names = [...new Set(asked.flatMap(({ configured }) => configured.map(({ name }) => name)))];
  const who = vip === undefined ? 'no vip has' : `the vip ${vip} does not have`;
  throw new Refusal(404, `${who} a backend ${backend}`, { hint: suggest(backend, names.slice(0, namesMax)) });
}

/** Names that are compared with a misspelt one, and listed. */
const namesMax = 100;

/** Without keys whose value is undefined. */
function definedOnly<T extends object>(value: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;
}
