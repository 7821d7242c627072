import { InbandError } from '../errors.ts';
import { type Ns, parseDuration } from '../units.ts';
import { AckAdvance, type AckKind } from './ack.ts';
import { AutoEstimator } from './auto.ts';
import { type Cliff, cliffs, EnsembleTimeout } from './ensemble.ts';
import type { Estimator, EstimatorSize } from './estimator.ts';
import { FixedTimeout } from './fixed.ts';
import { GapEstimator } from './gap.ts';
import { Handshake } from './handshake.ts';
import { Pirate } from './pirate.ts';
import { QuicEstimator } from './quic.ts';

/** Settings that estimators share; each name may carry its own readings after colons. */
export interface EstimatorSettings {
  readonly timeoutsNs: readonly Ns[];
  readonly epochNs: Ns;
}

type Make = (readings: readonly string[], settings: EstimatorSettings, size: EstimatorSize) => Estimator[];

interface Entry {
  /** How it is written, for help and errors. */
  readonly usage: string;
  readonly make: Make;
}

/** An entry without readings. */
function plain(usage: string, make: (size: EstimatorSize) => Estimator): Entry {
  return {
    usage,
    make: (readings, _settings, size) => {
      if (readings.length > 0) throw unknown(`${usage}:${readings[0]}`);
      return [make(size)];
    },
  };
}

const ackEntry = (kind: AckKind) => plain(kind, (size) => new AckAdvance(kind, [kind], size));

const entries: Record<string, Entry> = {
  auto: plain('auto', (size) => new AutoEstimator(size)),
  request: ackEntry('request'),
  pipelined: ackEntry('pipelined'),
  server: ackEntry('server'),
  gap: plain('gap', (size) => new GapEstimator(size)),
  quic: plain('quic', (size) => new QuicEstimator(size)),
  pirate: plain('pirate', (size) => new Pirate(size)),
  fixed: {
    usage: 'fixed[:TIMEOUT]',
    make: (readings, { timeoutsNs }, size) =>
      (readings.length === 0
        ? timeoutsNs
        : readings.map((text) => parseDuration(text, 'estimator: fixed'))
      ).map((timeout) => new FixedTimeout(timeout, size)),
  },
  ensemble: {
    usage: 'ensemble[:smooth|infinite|damped][:backend|flow]',
    make: (readings, settings, size) => {
      const chosen: { cliff: Cliff; counts: 'backend' | 'flow' } = { cliff: 'smooth', counts: 'backend' };
      for (const reading of readings) {
        const cliff = cliffs.find((name) => name === reading);
        if (cliff) chosen.cliff = cliff;
        else if (reading === 'backend' || reading === 'flow') chosen.counts = reading;
        else throw unknown(`ensemble:${reading}`);
      }
      return [new EnsembleTimeout({ ...settings, ...chosen }, size)];
    },
  },
  handshake: plain('handshake', (size) => new Handshake(size)),
};

/** How estimators can be written: `auto, request, ..., fixed[:TIMEOUT], ensemble[:smooth|infinite|damped][:backend|flow], handshake`. */
export const estimatorUsage = Object.values(entries)
  .map(({ usage }) => usage)
  .join(', ');

/**
 * Makes estimators from their written names, in order; the same one written twice is made once.
 * `fixed` without a timeout stands for one FIXEDTIMEOUT per configured timeout.
 * @throws InbandError `USAGE` naming what is not known and what is
 */
export function createEstimators(
  names: readonly string[],
  settings: EstimatorSettings,
  size: EstimatorSize,
): Estimator[] {
  const made = new Map<string, Estimator>();
  for (const name of names) {
    const [base, ...readings] = name.split(':');
    const entry = Object.hasOwn(entries, base!) ? entries[base!]! : undefined;
    if (!entry) throw unknown(name);
    for (const estimator of entry.make(readings, settings, size)) {
      if (!made.has(estimator.name)) made.set(estimator.name, estimator);
    }
  }
  return [...made.values()];
}

function unknown(name: string): InbandError {
  return new InbandError('USAGE', `estimator: '${name}' is not known`, {
    hint: `one or more of ${estimatorUsage}`,
  });
}
