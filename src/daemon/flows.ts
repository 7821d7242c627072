import { z } from 'zod';
import { type FlowAnswer, type FlowsAnswer, flowStates, flowsLimit } from '../admin/answers.ts';
import type { Asker } from '../admin/http.ts';
import { checkedQuery, Refusal } from '../admin/refusal.ts';
import { suggest } from '../config/similar.ts';
import type { FlowRecord } from '../datapath/datapath.ts';
import { formatAddress, parseAddress } from '../net/address.ts';
import { backendName, vipName } from './change.ts';
import type { Control } from './control.ts';

/** Looks through the whole table that go on at a time. */
const scansMax = 2;

/** A client's address, and its port where one was given. */
export interface Client {
  readonly address: string;
  readonly port: number | undefined;
}

/** `ADDR`, `ADDR:PORT`, `[ADDR]:PORT`; undefined for what is none. */
export function parseClient(text: string): Client | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const address = parseAddress(match?.[1] ?? match?.[2] ?? text);
  const port = match ? Number(match[3]) : undefined;
  if (
    !address ||
    (port !== undefined && (port > 65_535 || (match![1] === undefined) !== (address.family === 4)))
  ) {
    return undefined;
  }
  return { address: formatAddress(address.family, ...address.words), port };
}

/** `10.0.0.1:4000`, `[2001:db8::1]:4000`. */
export const formatClient = (address: string, port: number): string =>
  `${address.includes(':') ? `[${address}]` : address}:${port}`;

const client = z.string().transform((text, context) => {
  const parsed = parseClient(text);
  if (parsed) return parsed;
  context.addIssue({ code: 'custom', message: `'${text.slice(0, 64)}' is not ADDR or ADDR:PORT` });
  return z.NEVER;
});

const querySchema = z.strictObject({
  vip: vipName.optional(),
  backend: backendName.optional(),
  client: client.optional(),
  state: z.enum(flowStates).optional(),
  limit: z.coerce.number().int().min(1).max(flowsLimit.most).default(flowsLimit.usual),
});

let scans = 0;

/**
 * Looks through the flow table, a part at a time so that the control loop has its turns.
 * @param visit returns false for enough
 * @throws Refusal 429 when others look through it already
 */
export async function scan(
  control: Control,
  asker: Asker,
  visit: (flow: FlowRecord) => boolean,
): Promise<void> {
  if (scans >= scansMax) {
    throw new Refusal(429, 'the flow table is being looked through already', {
      code: 'LIMIT',
      hint: 'try again',
    });
  }
  scans++;
  try {
    let goesOn = true;
    let cursor: number | undefined = 0;
    while (cursor !== undefined && goesOn && !asker.isGone) {
      cursor = control.datapath.scanFlows(cursor, (flow) => {
        if (!visit(flow)) goesOn = false;
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    scans--;
  }
}

/** What GET /flows answers. */
export async function flowsOf(control: Control, asker: Asker): Promise<FlowsAnswer> {
  const { vip, backend, client, state, limit } = checkedQuery(querySchema, asker.query);
  const { names } = control;
  if (vip !== undefined && !names.hasVip(vip)) {
    const known = control.services.map(({ name }) => name);
    throw new Refusal(404, `there is no vip ${vip}`, { hint: suggest(vip, known) });
  }
  const flows: FlowAnswer[] = [];
  let matched = 0;
  let scanned = 0;
  await scan(control, asker, (flow) => {
    scanned++;
    const isWanted =
      (state === undefined || flow.state === state) &&
      (client?.port === undefined || flow.clientPort === client.port) &&
      (client === undefined || flow.clientAddress === client.address) &&
      (vip === undefined || names.vip(flow.vip) === vip) &&
      (backend === undefined || names.backend(flow.backend) === backend);
    if (isWanted && ++matched <= limit) flows.push(answerOf(control, flow));
    return true;
  });
  return { schema: 'inband.flows/1', flows, matched, scanned, truncated: matched > flows.length };
}

function answerOf({ names }: Control, flow: FlowRecord): FlowAnswer {
  return {
    client: formatClient(flow.clientAddress, flow.clientPort),
    vip: names.vip(flow.vip),
    backend: names.backend(flow.backend),
    state: flow.state,
    idle_ms: Math.round(flow.idleNs / 1e6),
  };
}
