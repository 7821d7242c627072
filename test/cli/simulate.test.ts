import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import type { SimulationResult } from '../../src/sim/result.ts';
import { inband } from './inband.ts';

const small = `title: small
duration: 1s
servers: [{name: s1, service: 100us}, {name: s2, service: 100us}]
clients: [{name: c, connections: 4, requests_per_connection: 20}]
events: [{from: 300ms, until: 600ms, servers: [s2], delay: 2ms}]
`;

let folder: string;
let scenario: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'inband-simulate-'));
  scenario = join(folder, 'small.yaml');
  writeFileSync(scenario, small);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('prints tables for static and balance unless told otherwise', async () => {
  const { code, stdout, stderr } = await inband(['simulate', scenario]);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^small\n/);
  expect(stdout).toMatch(/^static /m);
  expect(stdout).toMatch(/^balance /m);
});

it('prints the result as JSON, the same each time', async () => {
  const once = () => inband(['simulate', scenario, '--policy', 'shift,oracle', '--seed', '9', '--json']);
  const [first, second] = [await once(), await once()];
  expect([first.code, first.stderr]).toEqual([0, '']);
  expect(second.stdout).toBe(first.stdout);
  const result: SimulationResult = JSON.parse(first.stdout);
  expect(result).toMatchObject({
    schema: 'inband.simulation/1',
    scenario: 'small',
    seed: 9,
    duration_s: 1,
    during_s: [0.3, 0.6],
    backends: ['s1', 's2'],
    focus: ['s2'],
  });
  expect(result.policies.map(({ policy }) => policy)).toEqual(['shift', 'oracle']);
  expect(result.policies[0]!.timeline.shares).toHaveLength(2);
});

it('takes settings of a policy in its name, and alpha for all', async () => {
  const moved = async (...args: string[]) => {
    const { stdout } = await inband(['simulate', scenario, '--json', ...args]);
    const { policies }: SimulationResult = JSON.parse(stdout);
    return policies[0]!.phases.reduce((sum, { slots_moved }) => sum + slots_moved, 0);
  };
  const named = await moved('--policy', 'shift:alpha=0.02');
  expect(await moved('--policy', 'shift', '--alpha', '0.02')).toBe(named);
  expect(await moved('--policy', 'shift')).not.toBe(named);
});

it('writes a page', async () => {
  const page = join(folder, 'page.html');
  const { code, stdout } = await inband(['simulate', scenario, '--report', page]);
  expect(code).toBe(0);
  expect(stdout).toContain(`report: ${page}`);
  expect(readFileSync(page, 'utf8')).toMatch(/^<!doctype html>/);
});

describe('what cannot be done is told', () => {
  test.each([
    ['a policy that is not known', ['--policy', 'balanced'], 2, /policy: 'balanced' is not known/],
    [
      'a policy that was given twice',
      ['--policy', 'static,static'],
      2,
      /--policy: 'static' was given twice|policy: 'static' was given twice/,
    ],
    ['a setting out of range', ['--policy', 'shift:alpha=2'], 2, /alpha/],
    ['a seed that is none', ['--seed', '-1'], 2, /--seed: -1 is out of range/],
    ['no run', ['--runs', '0'], 2, /--runs: 0 is out of range/],
    ['an alpha of 0', ['--policy', 'shift', '--alpha', '0'], 2, /alpha/],
  ])('%s', async (_name, args, code, expected) => {
    const outcome = await inband(['simulate', scenario, ...args]);
    expect(outcome.code).toBe(code);
    expect(outcome.stderr).toMatch(expected);
    expect(outcome.stdout).toBe('');
  });

  it('a file that is not there', async () => {
    const outcome = await inband(['simulate', join(folder, 'none.yaml')]);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/FILE_UNREADABLE/);
  });

  it('everything that is wrong in a scenario, with file, line and column', async () => {
    const wrong = join(folder, 'wrong.yaml');
    writeFileSync(
      wrong,
      small.replace('connections: 4', 'connectoins: 4').replace('duration: 1s', 'duration: 1'),
    );
    const outcome = await inband(['simulate', wrong]);
    expect(outcome.code).toBe(3);
    expect(outcome.stderr).toContain(
      `${wrong}:2:11: duration: 1 is not a duration such as 64us, 1.5ms or 2s`,
    );
    expect(outcome.stderr).toContain(
      `${wrong}:4:21: clients[0].connectoins: unknown key; did you mean connections?`,
    );
  });

  it('the scenario is not overwritten by its report', async () => {
    const outcome = await inband(['simulate', scenario, '--report', scenario]);
    expect(outcome.code).toBe(2);
    expect(readFileSync(scenario, 'utf8')).toBe(small);
  });

  it('a page that cannot be written', async () => {
    const outcome = await inband(['simulate', scenario, '--report', join(folder, 'none/page.html')]);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/FILE_UNWRITABLE/);
  });
});
