import { createPolicy, type PolicySettings, policyNames } from '../control/registry.ts';
import { InbandError } from '../errors.ts';
import { Oracle } from './oracle.ts';
import { policyResult, type SimulationResult } from './result.ts';
import type { Scenario } from './scenario.ts';
import { Simulation } from './simulation.ts';

/** Policies by name; `oracle` knows the scenario and exists here only. */
export const simulatedPolicies: readonly string[] = [...policyNames, 'oracle'];

export interface SimulateOptions {
  /** Of `simulatedPolicies`, each at most once, settings after colons: `shift:alpha=0.2`. */
  readonly policies: readonly string[];
  /** u32; the scenario's own if absent. */
  readonly seed?: number | undefined;
  /** Runs under each policy, with this seed and those that follow; their requests are counted together. Default 1. */
  readonly runs?: number | undefined;
  readonly settings?: PolicySettings;
  /** Told how far a run is, 0 to 1, some hundred times in each. */
  readonly onProgress?: (policy: string, part: number) => void;
}

/** Parts of a run between which progress is told. */
const parts = 200;

/**
 * Runs a scenario once under each policy, each time with the same random numbers: the same scenario, seed and policies
 * give the same result on every machine.
 * @throws InbandError `USAGE` for a policy that does not exist or was named twice, or settings out of range
 */
export function simulate(scenario: Scenario, options: SimulateOptions): SimulationResult {
  const { policies, seed = scenario.seed, runs = 1 } = options;
  const twice = policies.find((name, i) => policies.indexOf(name) < i);
  if (twice !== undefined) {
    throw new InbandError('USAGE', `policy: '${twice}' was given twice`, { hint: 'name each policy once' });
  }
  const { durationNs, duringFromNs, duringUntilNs } = scenario;
  return {
    schema: 'inband.simulation/1',
    scenario: scenario.name,
    title: scenario.title,
    seed,
    runs,
    duration_s: durationNs / 1e9,
    during_s: duringFromNs < durationNs ? [duringFromNs / 1e9, duringUntilNs / 1e9] : null,
    load_balancers: scenario.balancers,
    backends: scenario.servers.map(({ name }) => name),
    focus: scenario.focus.map((b) => scenario.servers[b]!.name),
    policies: policies.map((name) => {
      const simulations = Array.from({ length: runs }, (_, run) => {
        const simulation = new Simulation(
          scenario,
          makerOf(name, scenario, options.settings ?? {}),
          seed + run,
        );
        for (let part = 1; part <= parts; part++) {
          simulation.runUntil((durationNs * part) / parts);
          options.onProgress?.(name, (run + part / parts) / runs);
        }
        simulation.run();
        return simulation;
      });
      return policyResult(scenario, name, simulations);
    }),
  };
}

function makerOf(name: string, scenario: Scenario, settings: PolicySettings) {
  if (name === 'oracle') return () => new Oracle(scenario);
  if (!policyNames.includes(name.split(':')[0]!)) {
    throw new InbandError('USAGE', `policy: '${name}' is not known`, {
      hint: `one or more of ${simulatedPolicies.join(', ')}`,
    });
  }
  return () => createPolicy(name, settings);
}
