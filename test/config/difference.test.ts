import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { difference } from '../../src/config/difference.ts';
import { checkConfigText } from '../../src/config/load.ts';
import type { Settings } from '../../src/config/settings.ts';
import { createTableBuilder } from '../../src/maglev/builder.ts';
import { differenceText } from '../../src/report/config-difference.ts';

/** Settings with these vips, each a text of its backends and perhaps more keys. */
function settings(vips: Readonly<Record<string, string>>, more = ''): Settings {
  const items = Object.entries(vips).map(([address, rest]) => `  - { address: ${address}, ${rest} }\n`);
  const { value, problems } = checkConfigText(`interface: eth0\nvips:\n${items.join('')}${more}\n`, 'f');
  if (!value) throw new Error(JSON.stringify(problems));
  return value;
}

const pool = (...backends: string[]) => `pool: { backends: [${backends.join(', ')}] }`;
const weighted = (address: string, weight: number) => `{ address: ${address}, weight: ${weight} }`;
const [a, b, c] = ['10.0.0.11', '10.0.0.12', '10.0.0.13'] as const;
const web = '10.0.0.1:80/tcp';
const two = settings({ [web]: pool(a, b) });

describe('a difference', () => {
  test('is none between equal configurations', () => {
    expect(difference(two, settings({ [web]: pool(a, b) }))).toEqual({
      vips: [],
      vips_unchanged: 1,
      settings: [],
    });
  });

  test('is none where only the order of backends or vips differs, or what is written out is the default', () => {
    const dns = '10.0.0.2:53/udp';
    const before = settings({ [web]: pool(a, b), [dns]: pool(a, c) });
    const after = settings(
      { [dns]: pool(c, `{ address: ${a}, encap: l2, weight: 1 }`), [web]: pool(b, a) },
      'tick: 1ms',
    );
    expect(difference(before, after)).toEqual({ vips: [], vips_unchanged: 2, settings: [] });
  });

  test('names a backend that comes and one that leaves, with the slots of all', () => {
    const { vips } = difference(two, settings({ [web]: pool(a, c) }), (vip, backend) => ({
      held: vip.length,
      begun: vip.length + backend.length,
    }));
    const [vip] = vips;
    expect(vip).toMatchObject({ vip: web, change: 'changed', slots_before: 65_537, slots_after: 65_537 });
    const before = createTableBuilder(two.vips[0]!.backends).createTable();
    const after = createTableBuilder([
      { name: a, weight: 1 },
      { name: c, weight: 1 },
    ]).createTable();
    const left = before.filter((backend) => backend === 1).length;
    const gained = after.filter((backend) => backend === 1).length;
    expect(vip!.backends).toEqual([
      // The rest of a pair holds the same half, give or take the odd slot.
      ...(left === gained ? [] : [expect.objectContaining({ backend: a, change: 'kept' })]),
      {
        backend: b,
        change: 'removed',
        weight_before: 1,
        weight_after: null,
        encap_before: 'l2',
        encap_after: null,
        slots_before: left,
        slots_after: 0,
        flows_held: web.length,
        flows_begun: web.length + b.length,
      },
      {
        backend: c,
        change: 'added',
        weight_before: null,
        weight_after: 1,
        encap_before: null,
        encap_after: 'l2',
        slots_before: 0,
        slots_after: gained,
        flows_held: null,
        flows_begun: null,
      },
    ]);
    let moved = 0;
    for (let slot = 0; slot < before.length; slot++) if (before[slot] === 1 || after[slot] === 1) moved++;
    // Nothing moves but what was the other one's, unless load balancers have to agree without asking each other.
    expect([vip!.slots_moved, vip!.slots_moved_min]).toEqual([left, left]);
    const fleet = { ...settings({ [web]: pool(a, c) }), table: 'stateless' as const };
    expect(difference(two, fleet).vips[0]).toMatchObject({ slots_moved: moved, slots_moved_min: left });
  });

  test('of how lost flows and checks are treated is one of the vip, without a slot that moves', () => {
    const next = `pool: { backends: [${a}, ${b}], lost_flows: reset, health: { interval: 5s, passive: { ejection: 20s } } }`;
    const found = difference(two, settings({ [web]: next }));
    expect(found.vips).toHaveLength(1);
    expect(found.vips[0]).toMatchObject({ change: 'changed', slots_moved: 0, backends: [] });
    expect(found.vips[0]!.settings).toEqual([
      { key: 'health.interval', before: '2s', after: '5s' },
      { key: 'health.passive.ejection', before: '10s', after: '20s' },
      { key: 'lost_flows', before: 'keep', after: 'reset' },
    ]);
    expect(found.settings).toEqual([]);
    const text = differenceText(found, { width: 100, color: false });
    expect(text).toContain(`~ ${web}: no slot moves\n~ health.interval: 2s -> 5s\n`);
  });

  test('of weights moves slots between backends that stay', () => {
    const [vip] = difference(two, settings({ [web]: pool(weighted(a, 3), b) })).vips;
    expect(vip!.backends.map(({ backend, change }) => [backend, change])).toEqual([
      [a, 'changed'],
      [b, 'kept'],
    ]);
    expect(vip!.slots_moved_min! / 65_537).toBeCloseTo(0.25, 3);
    expect(vip!.slots_moved).toBeGreaterThanOrEqual(vip!.slots_moved_min!);
  });

  test('has no slots to compare where the tables differ in size, and every vip changes', () => {
    const { vips, settings: changes } = difference(two, settings({ [web]: pool(a, b) }, 'slots: 251'));
    expect(vips[0]).toMatchObject({
      slots_before: 65_537,
      slots_after: 251,
      slots_moved: null,
      slots_moved_min: null,
    });
    expect(changes).toEqual([{ key: 'slots', before: 65_537, after: 251 }]);
  });

  test('of a policy moves no slot', () => {
    const after = settings({ [web]: `${pool(a, b)}, policy: { name: l3, penalty: 300ms }` });
    expect(difference(two, after).vips[0]).toMatchObject({
      change: 'changed',
      slots_moved: 0,
      policy_before: { name: 'balance' },
      policy_after: { name: 'l3', penalty: '300ms' },
      backends: [],
    });
  });

  test('of vips that come and leave', () => {
    const after = settings({ '10.0.0.1:443/tcp': pool(a, b) });
    const { vips, vips_unchanged } = difference(two, after);
    expect(
      vips.map(({ vip, change, slots_before, slots_after }) => [vip, change, slots_before, slots_after]),
    ).toEqual([
      [web, 'removed', 65_537, null],
      ['10.0.0.1:443/tcp', 'added', null, 65_537],
    ]);
    expect(
      vips[0]!.backends.every(({ change, slots_after }) => change === 'removed' && slots_after === 0),
    ).toBe(true);
    expect(vips_unchanged).toBe(0);
  });

  test('of settings names them by their keys', () => {
    const after = settings(
      { [web]: pool(a, b) },
      'ensemble: { epoch: 32ms }\nuser: nobody\nlog: { level: warn }\nanswer_arp: true',
    );
    expect(difference(two, after).settings).toEqual([
      { key: 'answer_arp', before: false, after: true },
      { key: 'ensemble.epoch', before: '64ms', after: '32ms' },
      { key: 'log.level', before: 'info', after: 'warn' },
      { key: 'user', before: null, after: 'nobody' },
    ]);
  });

  test('back is the same slots the other way round', () => {
    const weights = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 3, maxLength: 3 });
    const build = (given: readonly number[]) => {
      const backends = [a, b, c].flatMap((name, i) => (given[i]! > 0 ? [weighted(name, given[i]!)] : []));
      return settings({ [web]: pool(...(backends.length > 0 ? backends : [a])) }, 'slots: 251');
    };
    fc.assert(
      fc.property(weights, weights, (first, second) => {
        const there = difference(build(first), build(second));
        const back = difference(build(second), build(first));
        expect(back.vips.length).toBe(there.vips.length);
        for (const [i, vip] of there.vips.entries()) {
          expect(vip.slots_moved).toBe(back.vips[i]!.slots_moved);
          expect(vip.slots_moved).toBeGreaterThanOrEqual(vip.slots_moved_min!);
          const sum = vip.backends.reduce((total, one) => total + one.slots_after - one.slots_before, 0);
          expect(sum).toBe(0);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('as text', () => {
  const text = (before: Settings, after: Settings, flows: number | null = null) =>
    differenceText(
      difference(before, after, () => (flows === null ? null : { held: flows, begun: 9_999 })),
      { width: 100, color: false },
    );

  test('nothing is said to change', () => {
    expect(text(two, two)).toBe('nothing changes');
  });

  test('slots, weights and flows of what changes', () => {
    const lines = text(
      two,
      settings({ [web]: pool(weighted(a, 2), c) }, 'slots: 65537\ntick: 2ms'),
      1234,
    ).split('\n');
    expect(lines[0]).toMatch(
      /^~ 10\.0\.0\.1:80\/tcp: [\d,]+ of 65,537 slots move \(\d+%\), 32,7\d\d at least$/,
    );
    expect(lines[1]).toMatch(/^backend +weight +slots +flows held +encap$/);
    expect(lines[3]).toMatch(/^~ 10\.0\.0\.11 +1 -> 2 +32,7\d\d -> 43,69\d +1,234 +l2$/);
    expect(lines[4]).toMatch(/^- 10\.0\.0\.12 +1 +32,7\d\d -> 0 +1,234 +l2$/);
    expect(lines[5]).toMatch(/^\+ 10\.0\.0\.13 +1 +0 -> 21,84\d +- +l2$/);
    expect(lines.slice(6)).toEqual(['', '~ tick: 1ms -> 2ms', '0 vips unchanged']);
  });

  test('policies and tables of another size', () => {
    const after = settings({ [web]: `${pool(a, b)}, policy: { name: shift, alpha: 0.2 }` }, 'slots: 251');
    expect(text(two, after)).toContain(
      '~ 10.0.0.1:80/tcp: table of 65,537 slots becomes one of 251: all of them are new\n~ policy: balance -> shift alpha=0.2\n',
    );
  });

  test('vips that come and leave, and those that stay', () => {
    const before = settings({ [web]: pool(a, b), '10.0.0.2:80/tcp': pool(a, b) });
    const after = settings({ '10.0.0.3:80/tcp': pool(a, b), '10.0.0.2:80/tcp': pool(a, b) });
    const all = text(before, after);
    expect(all).toContain('- 10.0.0.1:80/tcp: removed, with 2 backends\n');
    expect(all).toContain('+ 10.0.0.3:80/tcp: added, with 2 backends\n');
    expect(all.endsWith('\n1 vip unchanged')).toBe(true);
  });
});
