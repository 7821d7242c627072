import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatPercent,
  formatSignedPercent,
  printable,
} from '../../src/report/format.ts';

describe('numbers for people', () => {
  test('counts have thousands separators', () => {
    expect([0, 999, 1000, 1_234_567].map(formatCount)).toEqual(['0', '999', '1,000', '1,234,567']);
  });

  test('what is unknown is a dash', () => {
    expect([null, undefined, Number.NaN].map(formatCount)).toEqual(['-', '-', '-']);
    expect([null, undefined, Number.NaN].map(formatPercent)).toEqual(['-', '-', '-']);
    expect([null, undefined, Number.NaN].map(formatSignedPercent)).toEqual(['-', '-', '-']);
  });

  test('percentages keep a decimal only where it matters', () => {
    expect([0, 0.0004, 0.034, 0.0994, 0.0996, 0.934, 1, 25].map(formatPercent)).toEqual([
      '0%',
      '0%',
      '3.4%',
      '9.9%',
      '10%',
      '93%',
      '100%',
      '2,500%',
    ]);
  });

  test('signed percentages show on which side of zero they are, and zero has no sign', () => {
    expect([0.034, -0.89, 0, -0.0001, 0.0001].map(formatSignedPercent)).toEqual([
      '+3.4%',
      '-89%',
      '0%',
      '0%',
      '0%',
    ]);
  });

  test('a percentage never takes more than nine characters', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (value) => {
        expect(formatSignedPercent(value).length).toBeLessThanOrEqual(9);
      }),
    );
    expect(formatSignedPercent(1e9)).toBe('+>9,999%');
    expect(formatSignedPercent(-1e9)).toBe('->9,999%');
  });

  test('sizes are in decimal units', () => {
    expect([0, 512, 1000, 1_829_651, 5e12].map(formatBytes)).toEqual([
      '0 B',
      '512 B',
      '1 kB',
      '1.83 MB',
      '5 TB',
    ]);
  });
});

test('text from outside cannot control the terminal', () => {
  expect(printable('a\u001b[2Jb\r\nc\u009bd\u202ee')).toBe('a�[2Jb��c�d�e');
  expect(printable('Größe 網')).toBe('Größe 網');
});
