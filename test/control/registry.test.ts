import { expect, it } from 'vitest';
import { createPolicy, policyNames } from '../../src/control/registry.ts';
import { Window } from '../../src/latency/window.ts';
import { anInput } from './input.ts';

it('every policy is made by its name', () => {
  expect(policyNames).toEqual(['balance', 'shift', 'static', 'l3', 'c3', 'peak-ewma', 'prequal']);
  for (const name of policyNames) expect(createPolicy(name, { alpha: 0.1 }).name).toBe(name);
});

it('the settings reach the policy', () => {
  const windows = [new Window(), new Window()];
  windows.forEach((window, i) => {
    window.record(i);
  });
  const shares = Float64Array.of(0.5, 0.5);
  createPolicy('shift', { alpha: 0.25 }).decide(anInput({ windows, weights: shares.slice(), shares }));
  expect([...shares]).toEqual([0.75, 0.25]);
  expect(() => createPolicy('shift', { alpha: 2 })).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

it('the static policy never changes anything', () => {
  const windows = [new Window(), new Window()];
  windows[0]!.record(1e9);
  const shares = Float64Array.of(0.5, 0.5);
  const policy = createPolicy('static', { alpha: 0.1 });
  expect(policy.decide(anInput({ windows, weights: shares.slice(), shares }))).toBe(false);
  expect([...shares]).toEqual([0.5, 0.5]);
});

for (const name of ['', 'Shift', 'toString', '__proto__']) {
  it(`'${name}' is refused with all that is known`, () => {
    expect(() => createPolicy(name, { alpha: 0.1 })).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: `policy: '${name}' is not known`,
        hint: 'one of balance, shift, static, l3, c3, peak-ewma, prequal',
      }),
    );
  });
}
