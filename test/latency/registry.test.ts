import { expect, it } from 'vitest';
import { epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { createEstimators, estimatorUsage } from '../../src/latency/registry.ts';
import { ns } from '../../src/units.ts';

const settings = { timeoutsNs: timeoutsDefault, epochNs: epochDefault };
const namesOf = (...names: string[]) =>
  createEstimators(names, settings, { flows: 2, backends: 1 }).map(({ name }) => name);

it('every estimator is made by its name', () => {
  expect(namesOf('handshake', 'ensemble', 'fixed:64us')).toEqual([
    'handshake',
    'ensemble:smooth:backend',
    'fixed:64us',
  ]);
});

it('an ensemble takes its readings in any order', () => {
  expect(
    namesOf('ensemble:infinite', 'ensemble:flow', 'ensemble:infinite:flow', 'ensemble:backend:infinite'),
  ).toEqual(['ensemble:infinite:backend', 'ensemble:smooth:flow', 'ensemble:infinite:flow']);
});

it('fixed alone is one per configured timeout, each under a name that makes it again', () => {
  const names = namesOf('fixed');
  expect(names).toEqual([64, 128, 256, 512, 1024, 2048, 4096].map((us) => `fixed:${us}us`));
  expect(namesOf(...names)).toEqual(names);
});

it('timeouts that round to the same text are two estimators', () => {
  expect(namesOf('fixed:1024us', 'fixed:1.02ms')).toEqual(['fixed:1024us', 'fixed:1020us']);
});

it('the same one twice is made once', () => {
  expect(
    namesOf('fixed:1ms', 'handshake', 'fixed:1000us', 'handshake', 'ensemble:smooth', 'ensemble'),
  ).toEqual(['fixed:1ms', 'handshake', 'ensemble:smooth:backend']);
});

it('the configured timeouts reach the ensemble', () => {
  const make = (timeouts: number[]) =>
    createEstimators(['ensemble'], { ...settings, timeoutsNs: timeouts.map(ns) }, { flows: 1, backends: 1 });
  expect(make([1, 2, 3])[0]!.bytesPerFlow).toBe(8 * 4);
  expect(() => make([2, 1])).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

for (const name of [
  'nothing',
  '',
  'Fixed',
  'toString',
  '__proto__',
  'ensemble:rough',
  'ensemble:',
  'handshake:1',
  'auto:1',
  'request:1',
]) {
  it(`'${name}' is refused with all that is known`, () => {
    expect(() => namesOf(name)).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: `estimator: '${name}' is not known`,
        hint: `one or more of ${estimatorUsage}`,
      }),
    );
  });
}

it('a timeout without a unit is refused', () => {
  for (const name of ['fixed:64', 'fixed:', 'fixed:0us', 'fixed:-1us']) {
    expect(() => namesOf(name)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('is not a duration') }),
    );
  }
});

it('the usage names all of them', () => {
  expect(estimatorUsage).toBe(
    'auto, request, pipelined, server, gap, quic, pirate, fixed[:TIMEOUT], ensemble[:smooth|infinite|damped][:backend|flow], handshake',
  );
});

it('auto marks each sample with its kind, and alone counts signals beside the kinds of its family', () => {
  const [auto, request, gap] = createEstimators(['auto', 'request', 'gap'], settings, {
    flows: 2,
    backends: 1,
  });
  expect(auto!.kinds).toEqual(['handshake', 'request', 'pipelined', 'server', 'gap', 'quic']);
  expect(request!.kinds).toEqual(['request']);
  expect([auto, request, gap].map((estimator) => estimator!.signals !== undefined)).toEqual([
    true,
    true,
    false,
  ]);
});
