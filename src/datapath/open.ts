import { InbandError } from '../errors.ts';
import type { Datapath, DatapathOptions } from './datapath.ts';
import { XdpDatapath } from './xdp/datapath.ts';
import { interfaces } from './xdp/neighbours.ts';
import { checkUnpinned } from './xdp/take-over.ts';

/** Datapaths by name; `auto` is the first that this machine allows. */
export const datapaths = ['auto', 'xdp', 'capture'] as const;
export type DatapathName = (typeof datapaths)[number];

/** What says that XDP is not to be had, rather than that something is wrong with what was asked for. */
const refusals: readonly string[] = ['PERMISSION', 'NATIVE_MISSING', 'XDP_UNSUPPORTED', 'BPF_FAILED'];

/**
 * Opens a datapath. `auto` is XDP in native mode, in generic mode, then capture; which one it became, and why, are its
 * `name`, `mode` and `reason`.
 * @throws InbandError what the datapath threw; when `auto` finds none, what XDP lacks, with what capture lacks as hint
 */
export async function openDatapath(name: DatapathName, options: DatapathOptions): Promise<Datapath> {
  if (name === 'xdp') return openXdp(options);
  if (name === 'capture') return openCapture(options);
  const needed = beyondXdp(options);
  if (needed !== undefined) return openCapture(options, needed);
  try {
    return openXdp(options);
  } catch (error) {
    if (!(error instanceof InbandError) || !refusals.includes(error.code)) throw error;
    return captureInstead(options, error);
  }
}

/** What options ask for that XDP does not do; undefined when there is nothing. */
function beyondXdp({ vips, answerArp }: DatapathOptions): string | undefined {
  const isRouted = vips.some(({ backends }) =>
    backends.some(({ encapsulation }) => encapsulation === 'ipip'),
  );
  if (isRouted) return 'encap=ipip is sent by the capture datapath only';
  return answerArp ? 'ARP is answered by the capture datapath only' : undefined;
}

function openXdp(options: DatapathOptions): Datapath {
  const beyond = beyondXdp(options);
  if (beyond === undefined) return XdpDatapath.open(options);
  throw new InbandError('USAGE', `--datapath xdp: ${beyond}`, {
    hint: 'leave it out, or take --datapath capture',
  });
}

/**
 * Loads what captures, which XDP starts faster without.
 * @throws InbandError `HOOK_TAKEN` where a pinned XDP program would take the packets first
 */
async function openCapture(options: DatapathOptions, reason?: string): Promise<Datapath> {
  const target = interfaces().find(({ name }) => name === options.interface);
  if (target) checkUnpinned(target, options.pin);
  const { CaptureDatapath } = await import('./capture/datapath.ts');
  return reason === undefined ? CaptureDatapath.open(options) : CaptureDatapath.open(options, reason);
}

async function captureInstead(options: DatapathOptions, refusal: InbandError): Promise<Datapath> {
  try {
    return await openCapture(options, `no XDP: ${refusal.message}`);
  } catch (error) {
    if (!(error instanceof InbandError)) throw error;
    throw new InbandError(error.code, refusal.message, {
      hint: `${refusal.hint ?? ''}; nor does capturing work: ${error.message}${error.hint ? `; ${error.hint}` : ''}`,
      cause: error,
    });
  }
}
