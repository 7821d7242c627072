import { expect, it } from 'vitest';
import { onlyOf } from '../../src/cli/why.ts';
import { explainPool } from '../../src/control/explain.ts';
import { Pool } from '../../src/control/pool.ts';
import { createPolicy } from '../../src/control/registry.ts';
import type { Why } from '../../src/daemon.ts';
import { Window } from '../../src/latency/window.ts';
import { whyText } from '../../src/report/why.ts';
import { ns } from '../../src/units.ts';

/** A pool of which the second backend became a millisecond slower, and what is told of it. */
function aWhy(): Why {
  const backends = ['10.0.0.11', '10.0.0.12', '10.0.0.13'].map((name) => ({ name, weight: 1 }));
  const windows = backends.map(() => new Window());
  const pool = new Pool({
    policy: createPolicy('balance'),
    backends,
    kinds: ['request'],
    windows: [windows],
  });
  for (let ms = 1; ms <= 345; ms++) {
    windows.forEach((window, b) => {
      for (let i = 0; i < 5; i++) window.record(b === 1 && ms > 305 ? 1_260_000 : 260_000);
    });
    pool.decide(ns(ms * 1e6));
  }
  const start = Date.parse('2026-01-01T12:00:00Z');
  const timeOf = (time: number) => new Date(start + time / 1e6).toISOString();
  return { schema: 'inband.why/1', vips: [{ vip: '10.0.0.1:80/tcp', ...explainPool(pool, timeOf) }] };
}

it('tells for a backend that was left when, why and in how many steps', () => {
  const text = whyText(onlyOf(aWhy(), '10.0.0.12'), { color: false });
  const [head, about, ...lines] = text.split('\n');
  expect(head).toMatch(/^10\.0\.0\.12 of 10\.0\.0\.1:80\/tcp {2}\d+(\.\d)?% of new flows, 33% configured$/);
  expect(about).toBe('policy balance on request');
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(
    /^ {2}12:00:00\.307 {2}jumped, request latest 1\.26ms vs pool 260us -> share 0\.333 -> 0\.1\d\d$/,
  );
  expect(lines[1]).toMatch(
    /^ {2}12:00:00\.317, \d steps in 0\.0\d s {2}request p50 1\.26ms vs pool 260us over \d+ms, \d+ samples -> share 0\.1\d\d -> 0\.0\d\d$/,
  );
});

it('tells of a backend that took over that nothing was decided about it', () => {
  const text = whyText(onlyOf(aWhy(), '10.0.0.11'), { color: false });
  expect(text).toContain('its share changed as those of others did');
});

it('gives programs the same in figures', () => {
  const [backend] = onlyOf(aWhy(), '10.0.0.12').vips[0]!.backends;
  expect(backend).toMatchObject({ backend: '10.0.0.12', usable: true, weight: 1 / 3 });
  expect(backend!.decisions.at(-1)).toMatchObject({
    cause: 'slow',
    kind: 'request',
    pool_ns: expect.closeTo(260e3, -4),
    share_after: backend!.share,
  });
  expect(backend!.decisions.at(-1)!.latency_ns).toBeCloseTo(1.26e6, -4);
});

it('refuses a backend that is not there, with the one that was probably meant', () => {
  expect(() => onlyOf(aWhy(), '10.0.0.21')).toThrow(
    expect.objectContaining({ code: 'USAGE', hint: 'did you mean 10.0.0.11?' }),
  );
});

it('tells of one vip, where several have the backend', () => {
  const why = aWhy();
  const both = { ...why, vips: [why.vips[0]!, { ...why.vips[0]!, vip: '10.0.0.1:443/tcp' }] };
  expect(onlyOf(both, '10.0.0.12').vips).toHaveLength(2);
  expect(onlyOf(both, '10.0.0.12', '10.0.0.1:443').vips.map(({ vip }) => vip)).toEqual(['10.0.0.1:443/tcp']);
});

it('prints no control characters of names', () => {
  const why = aWhy();
  const hostile = { ...why, vips: [{ ...why.vips[0]!, policy: '\u001b[2J' }] };
  expect(whyText(hostile, { color: false })).not.toContain('\u001b');
});
