import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { detectionNsMax, nextCheckNs } from '../../src/health/schedule.ts';
import { type HealthSettings, healthDefault } from '../../src/health/settings.ts';
import { type HealthState, Standing } from '../../src/health/standing.ts';
import { ns } from '../../src/units.ts';
import { ms } from './support.ts';

const limits = { rise: 2, fall: 3 };

/** States after each of these verdicts, `+` being a check that is passed. */
function states(begin: HealthState, verdicts: string, given = limits): string[] {
  const standing = new Standing(begin, '', ms(0));
  return [...verdicts].map((verdict, i) => {
    standing.take({ passed: verdict === '+', reason: `check ${i}` }, ms(i), given);
    return standing.state;
  });
}

describe('the state of a backend', () => {
  test('is starting until the first check is passed', () => {
    expect(states('starting', '--+')).toEqual(['starting', 'starting', 'up']);
  });

  test('is down after so many failed in a row, also from the start', () => {
    expect(states('up', '---')).toEqual(['up', 'up', 'down']);
    expect(states('starting', '---')).toEqual(['starting', 'starting', 'down']);
  });

  test('a single other verdict starts the count anew', () => {
    expect(states('up', '--+--+---').slice(-2)).toEqual(['up', 'down']);
    expect(states('down', '+-+-+-++').slice(-2)).toEqual(['down', 'up']);
  });

  test('is up again after so many passed in a row', () => {
    expect(states('down', '+++', { rise: 3, fall: 1 })).toEqual(['down', 'down', 'up']);
  });

  test('one that nobody checked is trusted until checks say otherwise', () => {
    expect(states('unchecked', '--')).toEqual(['unchecked', 'unchecked']);
    expect(states('unchecked', '---').at(-1)).toBe('down');
    expect(states('unchecked', '+')).toEqual(['up']);
  });

  test('tells since when it is so, and what the last check found', () => {
    const standing = new Standing('up', 'a', ms(1));
    for (let i = 2; i < 9; i++) standing.take({ passed: false, reason: `no answer ${i}` }, ms(i), limits);
    expect(standing).toMatchObject({ state: 'down', sinceNs: ms(4), reason: 'no answer 8' });
  });

  test('changes only after a row as long as it must be', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 60 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        (verdicts, rise, fall) => {
          const standing = new Standing('up', '', ms(0));
          for (const [i, passed] of verdicts.entries()) {
            const before = standing.state;
            const isChanged = standing.take({ passed, reason: '' }, ms(i), { rise, fall });
            expect(isChanged).toBe(standing.state !== before);
            if (!isChanged) continue;
            const row = verdicts.slice(Math.max(0, i + 1 - (passed ? rise : fall)), i + 1);
            expect(row).toEqual(Array(passed ? rise : fall).fill(passed));
          }
        },
      ),
    );
  });
});

const anySettings: fc.Arbitrary<HealthSettings> = fc
  .record({
    interval: fc.integer({ min: 100, max: 60_000 }),
    part: fc.double({ min: 0.01, max: 1, noNaN: true }),
    jitter: fc.double({ min: 0, max: 0.5, noNaN: true }),
    fall: fc.integer({ min: 1, max: 10 }),
  })
  .map(({ interval, part, jitter, fall }) => ({
    ...healthDefault,
    intervalNs: ms(interval),
    timeoutNs: ms(interval * part),
    jitter,
    fall,
  }));
const uniform = fc.double({ min: 0, max: 1, noNaN: true });

describe('the next check', () => {
  test('comes an interval after the last one began, or by the jitter sooner', () => {
    expect(nextCheckNs(healthDefault, ms(0), ms(1), false, 0)).toBe(2e9);
    expect(nextCheckNs(healthDefault, ms(0), ms(1), false, 1)).toBe(1.8e9);
  });

  test('comes sooner after a failure, and never before the last one is over', () => {
    expect(nextCheckNs(healthDefault, ms(0), ms(1_000), true, 0)).toBe(1.4e9);
    const tight = { ...healthDefault, timeoutNs: ms(2_000) };
    expect(nextCheckNs(tight, ms(0), ms(2_000), true, 0)).toBe(2e9);
  });

  test('a backend that falls silent with the usual settings is down within interval * fall', () => {
    expect(detectionNsMax(healthDefault)).toBeLessThanOrEqual(3 * healthDefault.intervalNs);
  });

  test('a backend that falls silent is down within the time that is promised', () => {
    fc.assert(
      fc.property(anySettings, fc.array(uniform, { minLength: 12, maxLength: 12 }), (settings, chance) => {
        const { intervalNs, timeoutNs, fall } = settings;
        // It dies right after it was asked at 0.
        const standing = new Standing('up', '', ns(0));
        let at = nextCheckNs(settings, ns(0), ns(0), false, chance[0]!);
        let endNs = at;
        for (let i = 1; standing.state === 'up'; i++) {
          endNs = ns(at + timeoutNs);
          standing.take({ passed: false, reason: '' }, endNs, settings);
          at = nextCheckNs(settings, at, endNs, standing.isInDoubt, chance[i]!);
        }
        expect(endNs).toBeLessThanOrEqual(detectionNsMax(settings) + 1);
        if (fall > 1 && timeoutNs * fall <= 0.9 * intervalNs * (fall - 1)) {
          expect(endNs).toBeLessThanOrEqual(intervalNs * fall + 1);
        }
      }),
    );
  });
});
