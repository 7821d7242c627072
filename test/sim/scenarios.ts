import { parseScenario } from '../../src/sim/read.ts';
import type { PolicyResult } from '../../src/sim/result.ts';
import type { Scenario } from '../../src/sim/scenario.ts';
import { simulate } from '../../src/sim/simulate.ts';

/** A scenario from YAML lines, with a title and 2 s of duration unless given. */
export function aScenario(text: string): Scenario {
  const lines = [
    ...(/^title:/m.test(text) ? [] : ['title: test']),
    ...(/^duration:/m.test(text) ? [] : ['duration: 2s']),
  ];
  return parseScenario(`${lines.join('\n')}\n${text}`, 'test.yaml');
}

/** What one policy makes of a scenario. */
export function underPolicy(scenario: Scenario, policy: string, seed?: number): PolicyResult {
  return simulate(scenario, { policies: [policy], seed }).policies[0]!;
}
