import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Daemon } from '../../src/demo/daemon.ts';
import { runDemo } from '../../src/demo/demo.ts';
import { type DemoOptions, demoDefaults } from '../../src/demo/plan.ts';
import type { DemoResult, DemoRun } from '../../src/demo/result.ts';
import { Lab } from '../../src/lab/lab.ts';
import { ns } from '../../src/units.ts';
import { remainsOf } from '../lab/remains.ts';
import { daemonUnavailable } from '../lab/require.ts';

const reason = daemonUnavailable();

beforeEach((context) => {
  if (reason !== undefined) context.skip(reason);
});

describe('a demo of 6 s', () => {
  const options: DemoOptions = { ...demoDefaults, durationNs: ns(6e9) };
  let result: DemoResult;
  let id = '';

  beforeAll(async () => {
    if (reason !== undefined) return;
    result = await runDemo(options, {
      ready: (lab) => {
        id = lab.id;
      },
    });
  });

  const run = (name: DemoRun['name']): DemoRun => result.runs.find((one) => one.name === name)!;

  test('the static table keeps its shares, and its p95 stays inflated', () => {
    const { p95_us, slowed_share, reaction, slowed } = run('static');
    expect(slowed).toBe('s2');
    expect(slowed_share.during_min).toBeCloseTo(0.5, 1);
    // 1000 us were added; a busy machine adds to all phases.
    expect(p95_us.during! - p95_us.before!).toBeGreaterThan(400);
    expect(reaction).toMatchObject({ first_slot_moved_ms: null, new_flows_moved_ms: null });
  });

  test('in-band control takes new flows away from the slower server', () => {
    const { slowed_share, reaction } = run('in-band');
    expect(slowed_share.at_injection).toBeGreaterThanOrEqual(0.5);
    expect(slowed_share.during_min).toBeLessThan(0.1);
    expect(reaction.new_flows_moved_ms).not.toBeNull();
    expect(reaction.first_slot_moved_ms).not.toBeNull();
  });

  test('no request fails and no packet is lost', () => {
    for (const { requests, errors, packets_forwarded, packets_lost } of result.runs) {
      expect(requests).toBeGreaterThan(1000);
      expect(packets_forwarded).toBeGreaterThan(requests);
      expect({ errors, packets_lost }).toEqual({ errors: 0, packets_lost: 0 });
    }
  });

  test('the timelines cover the runs', () => {
    for (const { timeline } of result.runs) {
      expect(timeline.p95_us).toHaveLength((result.run_s * 1e3) / timeline.step_ms);
      // A busy machine may stall for some intervals.
      const known = timeline.p95_us.filter((value) => value !== null).length;
      expect(known / timeline.p95_us.length).toBeGreaterThan(0.7);
      expect(timeline.slowed_share).not.toContain(null);
    }
  });

  test('nothing is left behind', () => {
    expect(id).not.toBe('');
    expect(remainsOf(id)).toEqual([]);
  });
});

test('a demo that is interrupted leaves nothing behind', async () => {
  const interruption = new AbortController();
  let id = '';
  const demo = runDemo(
    demoDefaults,
    {
      ready: (lab) => {
        id = lab.id;
      },
      run: () => setTimeout(() => interruption.abort(), 1500),
    },
    interruption.signal,
  );
  await expect(demo).rejects.toMatchObject({ name: 'AbortError' });
  expect(remainsOf(id)).toEqual([]);
});

test('a load balancer that cannot run is the error that it gave', async () => {
  const lab = await Lab.up({ servers: 1 });
  try {
    await expect(Daemon.start(lab, 'static', ['--tick', '1us'])).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('--tick'),
    });
  } finally {
    await lab.down();
  }
});
