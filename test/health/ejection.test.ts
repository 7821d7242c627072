import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Ejection, mayEject } from '../../src/health/ejection.ts';
import { healthDefault } from '../../src/health/settings.ts';
import { ms } from './support.ts';

const { passive } = healthDefault;
const dead = { level: 'kernel', reason: 'dead' } as const;
const hung = { level: 'application', reason: 'hung' } as const;
const seconds = (value: number) => ms(value * 1_000);

describe('an ejection', () => {
  test('lasts its time, and says why', () => {
    const ejection = new Ejection();
    expect(ejection.begin(dead, passive, seconds(5))).toMatchObject({
      untilNs: seconds(15),
      reason: 'dead',
      times: 1,
    });
    expect(ejection.endIfOver(seconds(14))).toBe(false);
    expect(ejection.endIfOver(seconds(15))).toBe(true);
    expect(ejection.ejected).toBeUndefined();
    expect(ejection.endIfOver(seconds(16))).toBe(false);
  });

  test('lasts twice as long each further time, up to the maximum', () => {
    const ejection = new Ejection();
    const lasting: number[] = [];
    let at = 0;
    for (let i = 0; i < 8; i++) {
      const { untilNs } = ejection.begin(dead, passive, ms(at));
      lasting.push((untilNs - ms(at)) / 1e9);
      ejection.endIfOver(untilNs);
      at = untilNs / 1e6 + 100;
    }
    expect(lasting).toEqual([10, 20, 40, 80, 160, 300, 300, 300]);
  });

  test('is forgiven step by step while the backend is well', () => {
    const ejection = new Ejection();
    ejection.begin(dead, passive, seconds(0));
    ejection.endIfOver(seconds(10));
    expect(ejection.begin(dead, passive, seconds(15)).times).toBe(2);
    ejection.endIfOver(seconds(35));
    // Twice the 20 s that it was out: both are forgiven.
    expect(ejection.begin(dead, passive, seconds(75)).times).toBe(1);
  });

  test('is ended by a check that passes and began in it', () => {
    const ejection = new Ejection();
    ejection.begin(dead, passive, seconds(10));
    expect(ejection.refute(seconds(9), false, 0, seconds(11))).toBe(false);
    expect(ejection.refute(seconds(10), false, 0, seconds(11))).toBe(true);
    expect(ejection.ejected).toBeUndefined();
    expect(ejection.refute(seconds(10), false, 0, seconds(11))).toBe(false);
  });

  test('of a hung application is not ended by a handshake, but by an answer of the application', () => {
    const ejection = new Ejection();
    ejection.begin(hung, passive, seconds(10));
    expect(ejection.refute(seconds(10), false, 0, seconds(11))).toBe(false);
    expect(ejection.refute(seconds(10), true, 0, seconds(11))).toBe(true);
  });

  test('stays when it comes again and no client was served in between: checks see what clients do not', () => {
    const ejection = new Ejection();
    ejection.begin(dead, passive, seconds(10));
    expect(ejection.refute(seconds(10), false, 7, seconds(11))).toBe(true);
    ejection.begin(dead, passive, seconds(13));
    expect(ejection.refute(seconds(13), false, 7, seconds(14))).toBe(false);
    expect(ejection.refute(seconds(14), false, 8, seconds(15))).toBe(true);
  });

  test('wants more evidence after each one that was refuted, and forgets that in time', () => {
    const ejection = new Ejection();
    expect(ejection.factor(seconds(0))).toBe(1);
    for (let i = 0; i < 10; i++) {
      ejection.begin(dead, passive, seconds(i));
      ejection.refute(seconds(i), false, i, seconds(i));
    }
    expect(ejection.factor(seconds(10))).toBe(64);
    expect(ejection.factor(seconds(10 + 120))).toBe(16);
    expect(ejection.factor(seconds(10_000))).toBe(1);
  });

  test('that was refuted does not make the next one longer', () => {
    const ejection = new Ejection();
    ejection.begin(dead, passive, seconds(0));
    ejection.refute(seconds(0), false, 0, seconds(1));
    expect(ejection.begin(dead, passive, seconds(2)).times).toBe(1);
  });
});

describe('who may be ejected', () => {
  test.each([
    [{ backends: 1, ejected: 0, usable: 1 }, false],
    [{ backends: 2, ejected: 0, usable: 2 }, true],
    [{ backends: 2, ejected: 1, usable: 1 }, false],
    [{ backends: 3, ejected: 0, usable: 3 }, true],
    [{ backends: 3, ejected: 1, usable: 2 }, false],
    [{ backends: 10, ejected: 4, usable: 6 }, true],
    [{ backends: 10, ejected: 5, usable: 5 }, false],
    [{ backends: 10, ejected: 0, usable: 1 }, false],
  ])('%o: %s', (pool, expected) => {
    expect(mayEject(passive, pool)).toBe(expected);
  });

  test('never the last one that takes flows, and one at least where there are others', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(20),
        fc.nat(20),
        (part, ejected, usable) => {
          const backends = ejected + usable;
          const may = mayEject({ ...passive, ejectedMax: part }, { backends, ejected, usable });
          if (usable <= 1) expect(may).toBe(false);
          else if (ejected === 0) expect(may).toBe(true);
          else expect(may).toBe(ejected + 1 <= part * backends);
        },
      ),
    );
  });
});
