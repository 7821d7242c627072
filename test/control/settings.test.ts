import { describe, expect, it } from 'vitest';
import { createPolicy, policyNames, policyUsage } from '../../src/control/registry.ts';
import {
  checkSettings,
  choiceSetting,
  durationSetting,
  numberSetting,
  parseSettings,
  settingsUsage,
  withDefaults,
} from '../../src/control/settings.ts';

const specs = {
  part: numberSetting('a part', 0.5, 0, 1),
  pause: durationSetting('a pause', 5e6, 1e6, 1e9),
  mode: choiceSetting('a mode', 'plain', 'peak'),
} as const;

describe('settings', () => {
  it('are read from how they are written', () => {
    expect(parseSettings('law', specs, ['part=0.25', 'pause=20ms', 'mode=peak'])).toEqual({
      part: 0.25,
      pause: 20e6,
      mode: 'peak',
    });
  });

  it('that are not given are at their defaults', () => {
    expect(withDefaults(specs, { part: 1 })).toEqual({ part: 1, pause: 5e6, mode: 'plain' });
  });

  it('are shown with their defaults', () => {
    expect(settingsUsage(specs)).toBe('part=0.5, pause=5ms, mode=plain|peak');
  });

  for (const [written, message, hint] of [
    ['part=2', "policy law: part: '2' is out of range", 'give 0 to 1'],
    ['part=', "policy law: part: '' is out of range", 'give 0 to 1'],
    ['part=x', "policy law: part: 'x' is out of range", 'give 0 to 1'],
    ['part=NaN', "policy law: part: 'NaN' is out of range", 'give 0 to 1'],
    ['pause=2s', "policy law: pause: '2000000000' is out of range", 'give 1ms to 1s'],
    ['pause=2', "policy law: pause: '2' is not a duration", expect.any(String)],
    ['mode=other', "policy law: mode: 'other' is out of range", 'one of plain, peak'],
    ['mode', "policy law: mode: '' is out of range", 'one of plain, peak'],
    ['more=1', "policy law: 'more' is not a setting of it", 'it has part=0.5, pause=5ms, mode=plain|peak'],
    ['toString=1', "policy law: 'toString' is not a setting of it", expect.any(String)],
  ] as const) {
    it(`'${written}' is refused`, () => {
      expect(() => parseSettings('law', specs, [written])).toThrow(
        expect.objectContaining({ code: 'USAGE', message, hint }),
      );
    });
  }

  it('given by a program are checked too', () => {
    expect(() => checkSettings('law', specs, { part: Number.NaN })).toThrow(
      expect.objectContaining({ code: 'USAGE' }),
    );
    expect(() => checkSettings('law', specs, { part: '0.5' })).toThrow(
      expect.objectContaining({ code: 'USAGE' }),
    );
    expect(() => checkSettings('law', {}, { part: 1 })).toThrow(
      expect.objectContaining({ hint: 'it has none' }),
    );
  });
});

describe('a policy', () => {
  it('is written with its settings', () => {
    expect(createPolicy('l3:ewma=peak:penalty=300ms').name).toBe('l3');
    expect(createPolicy('balance:alpha=0.1:slow=1.5').name).toBe('balance');
  });

  it('refuses what it does not know', () => {
    expect(() => createPolicy('static:alpha=0.1')).toThrow(
      expect.objectContaining({ code: 'USAGE', hint: 'it has none' }),
    );
    expect(() => createPolicy('l3:', {})).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  it('takes alpha from where all policies are told it, if it has one', () => {
    for (const name of policyNames) expect(createPolicy(name, { alpha: 0.3 }).name).toBe(name);
    expect(() => createPolicy('balance', { alpha: 7 })).toThrow(expect.objectContaining({ code: 'USAGE' }));
    expect(createPolicy('balance:alpha=0.1', { alpha: 7 }).name).toBe('balance');
  });

  it('is listed with its settings', () => {
    const lines = policyUsage().split('\n');
    expect(lines).toHaveLength(policyNames.length);
    expect(lines).toContain('static');
    expect(lines[0]).toMatch(/^balance: alpha=0.2, slow=1.25, floor=/);
  });
});
