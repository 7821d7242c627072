import { inbandFlow, inbandKey, inbandLimit, inbandState } from '../../generated/layout.ts';
import { formatAddress } from '../../net/address.ts';
import type { FlowRecord } from '../datapath.ts';

/** Sets looked at, and flows shown, in one go: both about a millisecond. */
const setsAtOnce = 1_024;
const shownAtOnce = 1_000;
const stateMask = 3;
const states: readonly (FlowRecord['state'] | undefined)[] = [undefined, 'new', 'established', 'closing'];

/** Reads the flow table where the program keeps it. */
export class FlowScan {
  readonly #view: DataView;
  readonly #vipAt: (place: number) => number;

  /** @param vipAt number of the vip at a place of the table of vips, -1 if there is none */
  constructor(memory: ArrayBuffer, vipAt: (place: number) => number) {
    this.#view = new DataView(memory);
    this.#vipAt = vipAt;
  }

  /** Shows flows from a set on; the set to go on with, undefined at the end. */
  next(firstSet: number, nowNs: number, visit: (flow: FlowRecord) => void): number | undefined {
    const setBytes = inbandFlow.size * inbandLimit.ways;
    const sets = this.#view.byteLength / setBytes;
    let shown = 0;
    let set = firstSet;
    for (; set < Math.min(sets, firstSet + setsAtOnce) && shown < shownAtOnce; set++) {
      for (let at = set * setBytes; at < (set + 1) * setBytes; at += inbandFlow.size) {
        const flow = this.#read(at, nowNs);
        if (!flow) continue;
        visit(flow);
        shown++;
      }
    }
    return set < sets ? set : undefined;
  }

  /** The flow of a line; undefined if it is free, or is taken by another one meanwhile. */
  #read(at: number, nowNs: number): FlowRecord | undefined {
    const view = this.#view;
    const { key, lastNs, state, backend } = inbandFlow.fields;
    const keyAt = at + key.offset;
    const portAndPlace = view.getUint32(keyAt + 4, true);
    const place = portAndPlace >>> 16;
    if (place === 0 || place === inbandKey.busy) return undefined;
    const address = view.getInt32(keyAt);
    const clientPort = view.getUint16(keyAt + 4);
    const bits = view.getUint8(at + state.offset);
    const name = states[bits & stateMask];
    const lastLow = view.getUint32(at + lastNs.offset, true);
    const last = view.getUint32(at + lastNs.offset + 4, true) * 2 ** 32 + lastLow;
    const number = view.getUint16(at + backend.offset, true);
    const vip = this.#vipAt(place - 1);
    const isSame = view.getInt32(keyAt) === address && view.getUint32(keyAt + 4, true) === portAndPlace;
    if (!isSame || !name || vip < 0) return undefined;
    return {
      clientAddress: formatAddress(4, address, 0, 0, 0),
      clientPort,
      vip,
      backend: number,
      state: name,
      idleNs: Math.max(0, nowNs - last),
      estimator: (bits & inbandState.auto) === 0 ? 'ensemble' : 'auto',
    };
  }
}
