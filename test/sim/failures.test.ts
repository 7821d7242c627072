import { describe, expect, it } from 'vitest';
import { readScenario } from '../../src/sim/read.ts';
import type { PolicyResult } from '../../src/sim/result.ts';
import { aScenario, underPolicy } from './scenarios.ts';

const figure3 = readScenario(new URL('../../config/scenarios/figure-3.yaml', import.meta.url).pathname);

const phase = (result: PolicyResult, name: string) => result.phases.find((one) => one.phase === name)!;
const share = (result: PolicyResult, name: string, backend: number) => phase(result, name).backends[backend]!;

describe("the paper's Figure 3", () => {
  const even = underPolicy(figure3, 'static');
  const shift = underPolicy(figure3, 'shift');

  it('1 ms on one of two servers is what the p95 rises by under a static table', () => {
    const rise = phase(even, 'during').p95_ns! - phase(even, 'before').p95_ns!;
    expect(Math.abs(rise / 1e6 - 1)).toBeLessThan(0.05);
  });

  it('shift brings the p95 back to what it was', () => {
    expect(phase(shift, 'during').p95_ns! / phase(shift, 'before').p95_ns!).toBeLessThan(1.05);
    expect(share(shift, 'during', 1).share_mean).toBeLessThan(0.01);
  });
});

describe('what shift does wrong', () => {
  const shift = underPolicy(figure3, 'shift');

  it('it goes to a rail while both servers are equal', () => {
    expect(phase(shift, 'before').share_deviation).toBeGreaterThan(0.99);
    expect(share(shift, 'before', 1).share_sd).toBeGreaterThan(0.15);
  });

  it('it never gives a server that has recovered its traffic back: no sample tells of it', () => {
    expect(share(shift, 'after', 1).share_mean).toBeLessThan(0.01);
    expect(shift.recover_ms).toBeNull();
  });

  it('between equal servers with a queue it makes latencies worse than no control', () => {
    const equal = aScenario(`
duration: 20s
warmup: 1s
servers:
${[1, 2, 3, 4].map((i) => `  - {name: s${i}, service: {exponential: 1ms}}`).join('\n')}
clients: [{name: c, rate: 3200, requests_per_connection: 20}]`);
    const [worse, even] = ['shift', 'static'].map((name) => underPolicy(equal, name));
    expect(worse!.overall.p99_ns! / even!.overall.p99_ns!).toBeGreaterThan(1.1);
  });
});
