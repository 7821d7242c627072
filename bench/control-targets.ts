import type { PhaseResult, PolicyResult, SimulationResult } from '../src/sim/result.ts';
import { median, rounded, type Target } from './result.ts';

const ours = 'balance';
/** Laws from the literature that ours is measured against. */
export const rivals = ['l3', 'c3', 'peak-ewma', 'prequal'] as const;

export const policyOf = ({ policies }: SimulationResult, policy: string): PolicyResult =>
  policies.find((one) => one.policy === policy)!;

export const phaseOf = (policy: PolicyResult, phase: PhaseResult['phase']): PhaseResult | undefined =>
  policy.phases.find((one) => one.phase === phase);

/** p99 in ns of a phase, of the whole run without one; NaN where there were no requests. */
export function p99Of(result: SimulationResult, policy: string, phase?: PhaseResult['phase']): number {
  const one = policyOf(result, policy);
  return (phase ? phaseOf(one, phase)?.p99_ns : one.overall.p99_ns) ?? Number.NaN;
}

/** Largest standard deviation of any share in a phase. */
export const shareSd = (phase: PhaseResult): number =>
  Math.max(...phase.backends.map(({ share_sd }) => share_sd));

const percent = (fraction: number): string => `${rounded(fraction * 100, 3)} %`;
const ms = (value: number | null): string => (value === null ? 'never' : `${rounded(value)} ms`);

/** The figures that control was asked to reach, each next to what the simulations gave. */
export function controlTargets(results: readonly SimulationResult[]): Target[] {
  const named = (name: string) => results.find(({ scenario }) => scenario === name)!;
  return [
    ...equalTargets([named('equal-50'), named('equal-70'), named('equal-90')]),
    ...stepTargets(named('figure-3')),
    worseThanStatic(results),
    halfSpeed(named('half-speed')),
    ...manyBalancers([named('half-speed'), named('balancers-16'), named('balancers-64')]),
    settling(named('load-dependent')),
    ...claimedCuts(results),
    ...rivals.map((rival) => aheadOf(results, rival)),
    unbroken(results),
    ...paperFailures(named('figure-3')),
  ];
}

function equalTargets(results: readonly SimulationResult[]): Target[] {
  return results.map((result) => {
    const { share_deviation } = phaseOf(policyOf(result, ours), 'before')!;
    return {
      what: `${result.scenario}: farthest any share goes from the configured one in 10 minutes`,
      asked: '<= 2 %',
      measured: percent(share_deviation),
      met: share_deviation <= 0.02,
    };
  });
}

function stepTargets(result: SimulationResult): Target[] {
  const { react_ms, recover_ms } = policyOf(result, ours);
  return [
    {
      what: 'figure-3: reaction to +1 ms on one of two',
      asked: '<= 50 ms',
      measured: ms(react_ms),
      met: react_ms !== null && react_ms <= 50,
    },
    {
      what: 'figure-3: back within 5 % of the configured share',
      asked: '<= 2 s',
      measured: ms(recover_ms),
      met: recover_ms !== null && recover_ms <= 2_000,
    },
  ];
}

function worseThanStatic(results: readonly SimulationResult[]): Target {
  const ratios = results.map((result) => ({
    scenario: result.scenario,
    ratio: p99Of(result, ours) / p99Of(result, 'static') - 1,
  }));
  const worse = ratios.filter(({ ratio }) => ratio > 0.03).sort((a, b) => b.ratio - a.ratio);
  const worst = ratios.toSorted((a, b) => b.ratio - a.ratio)[0]!;
  return {
    what: 'no scenario with a p99 above that of static',
    asked: '<= +3 %',
    measured:
      worse.length === 0
        ? `at most ${percent(worst.ratio)} (${worst.scenario})`
        : worse.map(({ scenario, ratio }) => `${scenario} +${percent(ratio)}`).join(', '),
    met: worse.length === 0,
  };
}

function halfSpeed(result: SimulationResult): Target {
  const ratio = p99Of(result, ours, 'during') / p99Of(result, 'oracle', 'during') - 1;
  return {
    what: 'half-speed: p99 above that of the oracle',
    asked: '<= 15 %',
    measured: `${percent(ratio)}; from the middle of the change on ${percent(settledRatio(result))}`,
    met: ratio <= 0.15,
  };
}

/** How far p99 is above the oracle's once the law has had half of the change to react; mean over the timeline. */
function settledRatio(result: SimulationResult): number {
  const [fromS, untilS] = result.during_s!;
  const meanOf = (policy: string) => {
    const { step_s, p99_ns } = policyOf(result, policy).timeline;
    const known = p99_ns
      .slice(Math.ceil((fromS + untilS) / 2 / step_s), Math.floor(untilS / step_s))
      .filter((value) => value !== null);
    return known.reduce((sum, value) => sum + value, 0) / known.length;
  };
  return meanOf(ours) / meanOf('oracle') - 1;
}

/** Stable: while nothing happens no share wanders, and one slow server leads no further from the oracle. */
function manyBalancers(results: readonly SimulationResult[]): Target[] {
  return results.map((result) => {
    const before = phaseOf(policyOf(result, ours), 'before')!;
    const wandering = shareSd(before) * result.backends.length;
    const ratio = p99Of(result, ours, 'during') / p99Of(result, 'oracle', 'during') - 1;
    return {
      what: `${result.scenario}, ${result.load_balancers} load balancer${result.load_balancers === 1 ? '' : 's'}: sd of shares before, of the configured share; p99 above the oracle's`,
      asked: '<= 5 %; <= 15 %',
      measured: `${percent(wandering)}; ${percent(ratio)}`,
      met: wandering <= 0.05 && ratio <= 0.15,
    };
  });
}

function settling(result: SimulationResult): Target {
  const during = phaseOf(policyOf(result, ours), 'during')!;
  const sd = shareSd(during);
  return {
    what: 'load-dependent: standard deviation of the share',
    asked: '<= 0.05',
    measured: String(rounded(sd, 2)),
    met: sd <= 0.05,
  };
}

/** The cut that Pirate states for DSR, on a server that becomes slower; L3's, on its kind of scenario. */
function claimedCuts(results: readonly SimulationResult[]): Target[] {
  const cutOf = (result: SimulationResult, phase?: PhaseResult['phase']) =>
    1 - p99Of(result, ours, phase) / p99Of(result, 'static', phase);
  const slowed = results.filter(({ scenario }) => ['figure-3', 'half-speed'].includes(scenario));
  const l3 = results.filter(({ scenario }) => /^l3-scenario/.test(scenario));
  const cuts = l3.map((result) => cutOf(result));
  return [
    ...slowed.map((result) => {
      const cut = cutOf(result, 'during');
      return {
        what: `${result.scenario}: p99 below static while one server is slow (Pirate: 37 %)`,
        asked: '>= 37 %',
        measured: percent(cut),
        met: cut >= 0.37,
      };
    }),
    {
      what: "L3's scenarios 1 to 5: p99 below static, the largest (L3: 26 %)",
      asked: '>= 26 %',
      measured: `${cuts.map(percent).join(', ')}; median ${percent(median(cuts))}`,
      met: Math.max(...cuts) >= 0.26,
    },
  ];
}

function aheadOf(results: readonly SimulationResult[], rival: string): Target {
  const ahead = results.filter((result) => p99Of(result, ours) < p99Of(result, rival));
  return {
    what: `scenarios with a p99 below that of ${rival}`,
    asked: `> ${Math.floor(results.length / 2)} of ${results.length}`,
    measured: String(ahead.length),
    met: ahead.length > results.length / 2,
  };
}

function unbroken(results: readonly SimulationResult[]): Target {
  const broken = results.reduce(
    (sum, { policies }) => sum + policies.reduce((all, { flows_broken }) => all + flows_broken, 0),
    0,
  );
  return {
    what: 'flows that moved slots broke, all policies and scenarios',
    asked: '0',
    measured: String(broken),
    met: broken === 0,
  };
}

/** What control.md found of the paper's law on real servers. */
function paperFailures(result: SimulationResult): Target[] {
  const shift = policyOf(result, 'shift');
  const sd = shareSd(phaseOf(shift, 'before')!);
  const during = 1 - p99Of(result, 'shift', 'during') / p99Of(result, 'static', 'during');
  const after = phaseOf(shift, 'after')!.backends.find(({ name }) => result.focus.includes(name))!.share_mean;
  return [
    {
      what: 'figure-3, shift as in the paper: p99 below static while one server is slow',
      asked: '> 37 %',
      measured: percent(during),
      met: during > 0.37,
    },
    {
      what: 'figure-3, shift: rails between equal servers (sd of the share before)',
      asked: '>= 0.15',
      measured: String(rounded(sd, 2)),
      met: sd >= 0.15,
    },
    {
      what: 'figure-3, shift: never gives the recovered server its traffic back (share after)',
      asked: '<= 0.05',
      measured: String(rounded(after, 2)),
      met: after <= 0.05,
    },
  ];
}
