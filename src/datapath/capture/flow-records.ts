import { type FlowTable, flowClosing, flowEstablished, flowNew, flowNone } from '../../flow/table.ts';
import { type Endpoint, formatAddress } from '../../net/address.ts';
import type { Ns } from '../../units.ts';
import type { FlowRecord, LiveEstimator } from '../datapath.ts';

/** Numbers of flows looked at in one go, each of which takes a microsecond to be shown. */
const sliceFlows = 512;

const states = { [flowNew]: 'new', [flowEstablished]: 'established', [flowClosing]: 'closing' } as const;

/**
 * Shows the flows with numbers from `cursor` on, a slice of them.
 * @param endpointOf vips by number
 * @returns where to go on; undefined at the end
 */
export function scanFlows(
  flows: FlowTable,
  cursor: number,
  now: Ns,
  estimator: LiveEstimator,
  endpointOf: (vip: number) => Endpoint | undefined,
  visit: (flow: FlowRecord) => void,
): number | undefined {
  const end = Math.min(flows.used, cursor + sliceFlows);
  for (let flow = cursor; flow < end; flow++) {
    const state = flows.state(flow);
    if (state === flowNone) continue;
    const portAndVip = flows.portAndVip(flow);
    const vip = portAndVip & 0xffff;
    const family = endpointOf(vip)?.address.family ?? 4;
    const word = (i: number) => flows.clientWord(flow, i);
    visit({
      clientAddress: formatAddress(family, word(0), word(1), word(2), word(3)),
      clientPort: portAndVip >>> 16,
      vip,
      backend: flows.backend(flow),
      state: states[state as keyof typeof states],
      idleNs: Math.max(0, now - flows.lastNs[flow]!),
      estimator,
    });
  }
  return end < flows.used ? end : undefined;
}
