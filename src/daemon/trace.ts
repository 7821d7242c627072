import { z } from 'zod';
import type { TraceAnswer } from '../admin/answers.ts';
import type { Asker } from '../admin/http.ts';
import { checkedQuery, Refusal } from '../admin/refusal.ts';
import { suggest } from '../config/similar.ts';
import { reasonText } from '../control/reason.ts';
import { noBackend } from '../datapath/datapath.ts';
import { parseAddress } from '../net/address.ts';
import { formatDuration, ns } from '../units.ts';
import { vipName } from './change.ts';
import { monotonicNs } from './clock.ts';
import type { Control } from './control.ts';
import { formatClient, parseClient, scan } from './flows.ts';
import type { Service } from './service.ts';

const querySchema = z.strictObject({
  client: z.string().transform((text, context) => {
    const { address, port } = parseClient(text) ?? {};
    if (address !== undefined && port !== undefined) return { address, port };
    context.addIssue({ code: 'custom', message: `'${text.slice(0, 64)}' is not ADDR:PORT` });
    return z.NEVER;
  }),
  vip: vipName,
});

/** What GET /trace answers: where a client's packets go, and why. */
export async function traceOf(control: Control, asker: Asker): Promise<TraceAnswer> {
  const { client, vip } = checkedQuery(querySchema, asker.query);
  const service = control.services.find(({ name }) => name === vip);
  if (!service) {
    throw new Refusal(404, `there is no vip ${vip}`, {
      hint: suggest(
        vip,
        control.services.map(({ name }) => name),
      ),
    });
  }
  const address = parseAddress(client.address)!;
  if (address.family !== service.vip.address.family) {
    throw new Refusal(400, `${client.address} and ${vip} are not of one address family`);
  }
  const flow = await flowOf(control, asker, service, client);
  const slot = control.datapath.slotOf(service.place, address, client.port);
  const number = control.datapath.slots(service.place)[slot]!;
  const slotBackend = number === noBackend ? null : control.names.backend(number);
  const by = flow ? 'flow' : slotBackend === null ? 'none' : 'slot';
  return {
    schema: 'inband.trace/1',
    client: formatClient(client.address, client.port),
    vip,
    flow: flow && { backend: flow.backend, state: flow.state, idle_ms: flow.idle_ms },
    slot,
    slot_backend: slotBackend,
    backend: flow?.backend ?? slotBackend,
    by,
    why: [...whyFlow(control, service, flow, slotBackend), ...whySlot(control, service, slot, number)],
  };
}

type Found = NonNullable<TraceAnswer['flow']> & { readonly number: number };

async function flowOf(
  control: Control,
  asker: Asker,
  { place }: Service,
  { address, port }: { address: string; port: number },
): Promise<Found | null> {
  let found: Found | null = null;
  await scan(control, asker, (flow) => {
    if (flow.clientPort !== port || flow.vip !== place || flow.clientAddress !== address) return true;
    const { backend: number, state, idleNs } = flow;
    found = { backend: control.names.backend(number), number, state, idle_ms: Math.round(idleNs / 1e6) };
    return false;
  });
  return found;
}

/** What the flow says. */
function whyFlow(
  { names }: Control,
  service: Service,
  flow: Found | null,
  slotBackend: string | null,
): readonly string[] {
  if (!flow) return ['There is no flow of this client: its next packet begins one.'];
  const { backend, number, state, idle_ms } = flow;
  const known = `The ${state} flow of this client is at ${backend}, and was last seen ${formatDuration(ns(idle_ms * 1e6))} ago.`;
  const found = names.serviceOf(number);
  if (backend === slotBackend) return [known, 'A new flow would go there, too.'];
  if (!found)
    return [known, `${backend} is not configured any more: ${fateText(service.settings.lostFlows)}.`];
  const isLost =
    service.states[found.index] === 'maintenance' || service.health[found.index]!.state === 'down';
  if (isLost) return [known, `${backend} is lost: ${fateText(service.settings.lostFlows)}.`];
  return [known, 'A flow stays where it began, whatever happens to the slots.'];
}

const fateText = (fate: 'keep' | 'resteer' | 'reset'): string =>
  ({
    keep: 'by `lost_flows: keep` the packets still go there',
    resteer: 'by `lost_flows: resteer` the next packet begins the flow anew at the backend of the slot',
    reset: 'by `lost_flows: reset` the next packet is answered with a reset',
  })[fate];

/** What the slot says of the backend that has it. */
function whySlot({ names }: Control, service: Service, slot: number, number: number): readonly string[] {
  const { pool } = service;
  if (number === noBackend) {
    return [`Slot ${slot} has no backend: none is ready, so that new flows are dropped.`];
  }
  const name = names.backend(number);
  const b = service.numbers.indexOf(number);
  if (b < 0) return [`Slot ${slot} is still held by ${name}, which is not configured any more.`];
  const share = `Slot ${slot} is held by ${name}, which has ${percent(pool.held[b]!)} of the slots; its weight alone would give it ${percent(pool.weights[b]!)}.`;
  const { state, check, reason } = service.health[b]!;
  const health =
    check === 'none'
      ? 'it is not checked'
      : `its ${check} check says ${state}${reason === '' ? '' : ` (${reason})`}`;
  const obstacle = service.obstacles[b];
  const sent =
    obstacle === undefined ? 'packets can be sent to it' : `packets cannot be sent to it: ${obstacle}`;
  return [
    share,
    `${name} is ${stateText(service, b)}, ${health}, and ${sent}.`,
    ...lastDecision(service, b),
    ...others(service, b),
  ];
}

const percent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;

const stateText = ({ states, muted }: Service, b: number): string => {
  if (muted[b] === 1) return 'given the weight 0';
  return { ready: 'ready', drain: 'drained', maintenance: 'in maintenance' }[states[b]!];
};

function lastDecision({ pool }: Service, b: number): readonly string[] {
  const last = pool.decisions.of(b).at(-1);
  if (!last) return [`The policy ${pool.policy.name} never changed its share.`];
  const ago = formatDuration(ns(Math.max(0, monotonicNs() - last.untilNs)));
  return [`The policy ${pool.policy.name} last changed its share ${ago} ago: ${reasonText(last.reason)}.`];
}

/** Who does not take part, as that is why the others have more. */
function others(service: Service, b: number): readonly string[] {
  const out = service.numbers.flatMap((_, other) => {
    if (other === b || service.pool.held[other]! > 0) return [];
    const { state, reason, ejected } = service.health[other]!;
    const why = [
      ...(service.states[other] === 'ready' && service.muted[other] === 0 ? [] : [stateText(service, other)]),
      ...(state === 'down' || state === 'starting' ? [reason === '' ? state : `${state}, ${reason}`] : []),
      ...(ejected ? [`ejected, ${ejected.reason}`] : []),
      ...(service.obstacles[other] === undefined ? [] : [service.obstacles[other]!]),
    ];
    return [`${service.configured[other]!.name} (${why.join('; ') || 'no share left'})`];
  });
  if (out.length === 0) return [];
  const shown = out.slice(0, othersMax);
  const more = out.length > othersMax ? ` and ${out.length - othersMax} more` : '';
  return [`Without slots: ${shown.join(', ')}${more}.`];
}

/** Backends without slots that are named. */
const othersMax = 8;
