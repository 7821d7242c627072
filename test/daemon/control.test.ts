import { describe, expect, test } from 'vitest';
import { noBackend } from '../../src/datapath/datapath.ts';
import { aControl, dns, settingsOf, slots, web } from './stage.ts';

const both = { [web]: '10.0.0.11, 10.0.0.12', [dns]: '10.0.0.11' };

describe('a control', () => {
  test('begins with slots by weight, in numbers of the datapath', () => {
    const { slotsBy, datapath, control } = aControl();
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 505, '10.0.0.12': 504 });
    expect(slotsBy(dns)).toEqual({ '10.0.0.11': slots });
    // The second vip's backend is number 2, although it is the same server as number 0.
    expect(datapath.slotCounts(control.services[1]!.place)).toEqual({ 2: slots });
    expect(control.services.map(({ generation }) => generation)).toEqual([1, 1]);
    expect(control.history.map(({ backends, share }) => [backends, share])).toEqual([
      [
        ['10.0.0.11', '10.0.0.12'],
        [0.5, 0.5],
      ],
      [['10.0.0.11'], [1]],
    ]);
  });

  test('leaves out backends that packets cannot be sent to, and says so once', () => {
    const { control, datapath, slotsBy, lines } = aControl();
    datapath.obstacles.set(0, 'no answer to ARP');
    control.poll();
    control.poll();
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 0, '10.0.0.12': slots });
    expect(lines.filter(({ event }) => event === 'backend_unusable')).toEqual([
      { event: 'backend_unusable', vip: web, backend: '10.0.0.11', obstacle: 'no answer to ARP' },
    ]);
    datapath.obstacles.delete(0);
    control.poll();
    // It was gone, and gets its share step by step.
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 92, '10.0.0.12': 917 });
    expect(control.services[0]!.pool.isRamping).toBe(true);
  });
});

describe('the log', () => {
  const unusable = (lines: Record<string, unknown>[]) =>
    lines.filter(({ event }) => event === 'backend_unusable').length;

  test('does not tell of next hops that are looked for the first time, unless that takes long', () => {
    const stage = aControl(undefined, { prepare: (made) => made.obstacles.set(0, 'not looked up yet') });
    stage.control.poll();
    expect(unusable(stage.lines)).toBe(0);
    Object.assign(stage.control.services[0]!, { bornNs: 0 });
    stage.control.poll();
    stage.control.poll();
    expect(unusable(stage.lines)).toBe(1);
    stage.datapath.obstacles.clear();
    stage.control.poll();
    expect(stage.events()).toContain('backend_usable');
  });

  test('tells of as many backends as anybody reads when all are gone at once, and how many more', () => {
    const many = Array.from({ length: 100 }, (_, i) => `10.0.1.${i}`).join(', ');
    const { control, datapath, lines } = aControl(settingsOf({ [web]: many }));
    for (let number = 0; number < 100; number++) datapath.obstacles.set(number, 'the interface is down');
    control.poll();
    expect(unusable(lines)).toBe(20);
  });
});

describe('other settings', () => {
  test('the same ones move nothing and touch nobody', async () => {
    const { control } = aControl();
    const before = [...control.services];
    const { slotsMoved, changes } = await control.apply(settingsOf(both));
    expect(slotsMoved).toBe(0);
    expect(changes).toEqual({
      vips: { added: 0, removed: 0, changed: 0, unchanged: 2 },
      backends: { added: 0, removed: 0, changed: 0, unchanged: 3 },
    });
    expect(control.services).toEqual(before);
    for (const [v, service] of control.services.entries()) expect(service).toBe(before[v]);
  });

  test('a backend more takes its part, and the vip beside it stays untouched', async () => {
    const { control, datapath, slotsBy } = aControl();
    const untouched = control.services[1]!;
    const before = datapath.slots(control.services[0]!.place).slice();
    const { slotsMoved, changes } = await control.apply(
      settingsOf({ ...both, [web]: '10.0.0.11, 10.0.0.12, 10.0.0.13' }),
    );
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 337, '10.0.0.12': 336, '10.0.0.13': 336 });
    const after = datapath.slots(control.services[0]!.place);
    expect(slotsMoved).toBe(after.filter((number, slot) => number !== before[slot]).length);
    expect(slotsMoved).toBe(336);
    expect(changes.backends).toEqual({ added: 1, removed: 0, changed: 0, unchanged: 3 });
    expect(control.services[1]).toBe(untouched);
    expect(untouched.generation).toBe(1);
  });

  test('numbers stay when the order changes, and no slot moves', async () => {
    const { control } = aControl();
    const before = control.services[0]!;
    const { slotsMoved } = await control.apply(settingsOf({ ...both, [web]: '10.0.0.12, 10.0.0.11' }));
    const after = control.services[0]!;
    expect(slotsMoved).toBe(0);
    expect(after.numbers).toEqual([...before.numbers].reverse());
    // What is measured goes on.
    expect(after.meters).toEqual([...before.meters].reverse());
    expect(after.meters[0]).toBe(before.meters[1]);
  });

  test('shares are carried over, scaled by weight, unless the policy has none of its own', async () => {
    const weighted = settingsOf({ ...both, [web]: '{ address: 10.0.0.11, weight: 2 }, 10.0.0.12' });
    for (const [name, shares] of [
      ['balance', ['0.333', '0.667']],
      ['static', ['0.667', '0.333']],
    ] as const) {
      const { control } = aControl();
      control.services[0]!.pool.shares.set([0.2, 0.8]);
      const vips = weighted.vips.map((vip) => ({ ...vip, policy: { name, settings: {} } }));
      await control.apply({ ...weighted, vips });
      expect([...control.services[0]!.pool.shares].map((share) => share.toFixed(3))).toEqual(shares);
    }
  });

  test('decisions about a backend are remembered when others come and go', async () => {
    const { control } = aControl();
    const { pool } = control.services[0]!;
    const reason = {
      backend: 1,
      cause: 'slow',
      kind: 'request',
      latencyNs: 2,
      poolNs: 1,
      spanNs: 1,
      samples: 1,
    };
    pool.decisions.add(1 as never, { ...reason, shareBefore: 0.5, shareAfter: 0.4 } as never);
    await control.apply(settingsOf({ ...both, [web]: '10.0.0.12, 10.0.0.13' }));
    const { decisions } = control.services[0]!.pool;
    expect(decisions.of(0)).toMatchObject([{ reason: { backend: 0, shareAfter: 0.4 } }]);
    expect(decisions.steps(0, 'slow')).toBe(1);
    expect(decisions.of(1)).toEqual([]);
  });

  test('vips come and go', async () => {
    const { control, slotsBy } = aControl();
    const { changes, slotsMoved } = await control.apply(
      settingsOf({ [web]: both[web]!, '10.0.0.3:443/tcp': '10.0.0.31' }),
    );
    expect(changes).toEqual({
      vips: { added: 1, removed: 1, changed: 0, unchanged: 1 },
      backends: { added: 1, removed: 1, changed: 0, unchanged: 2 },
    });
    expect(slotsMoved).toBe(0);
    expect(slotsBy('10.0.0.3:443/tcp')).toEqual({ '10.0.0.31': slots });
    expect(control.names.vip(1)).toBe(dns);
    expect(control.names.backend(2)).toBe('10.0.0.11');
  });

  test('a policy that is another one begins anew on the same table', async () => {
    const { control } = aControl();
    const { prepared } = control.services[0]!;
    const settings = settingsOf(both);
    const balance = { name: 'balance', settings: {} };
    const vips = settings.vips.map((vip, v) => (v === 0 ? { ...vip, policy: balance } : vip));
    const { slotsMoved, changes } = await control.apply({ ...settings, vips });
    expect([slotsMoved, changes.vips.changed]).toEqual([0, 1]);
    expect(control.services[0]!.pool.policy.name).toBe('balance');
    expect(control.services[0]!.prepared).toBe(prepared);
  });

  test('what the datapath has no room for changes nothing at all', async () => {
    const { control, datapath } = aControl(undefined, { backendsMax: 3 });
    const before = [...control.services];
    const tables = before.map(({ place }) => datapath.slots(place).slice());
    const settings = control.settings;
    const more = settingsOf({ ...both, [dns]: '10.0.0.11, 10.0.0.12' });
    await expect(control.apply(more)).rejects.toMatchObject({ code: 'LIMIT' });
    expect(control.settings).toBe(settings);
    expect(control.services).toEqual(before);
    expect(before.map(({ place }) => datapath.slots(place))).toEqual(tables);
  });

  test('settings that no policy has change nothing either, and the datapath is not asked', async () => {
    const { control, datapath } = aControl();
    const settings = settingsOf(both);
    const wrong = { name: 'shift', settings: { alpha: 7 } };
    const vips = settings.vips.map((vip) => ({ ...vip, policy: wrong }));
    await expect(control.apply({ ...settings, vips })).rejects.toMatchObject({ code: 'USAGE' });
    expect(datapath.configured).toEqual([]);
  });

  test('the control loop has turns while many vips change', async () => {
    const many = (backends: string) =>
      settingsOf(
        Object.fromEntries(Array.from({ length: 60 }, (_, v) => [`10.1.0.${v}:80/tcp`, backends])),
        'table: stateless',
      );
    const { control } = aControl(many('10.0.0.11, 10.0.0.12'), { slots: 65_537 });
    let turns = 0;
    let goesOn = true;
    const turn = () => {
      turns++;
      control.tick();
      if (goesOn) setImmediate(turn);
    };
    setImmediate(turn);
    await control.apply(many('10.0.0.11, 10.0.0.12, 10.0.0.13'));
    goesOn = false;
    expect(turns).toBeGreaterThan(5);
  });
});

describe('a datapath that was running before', () => {
  const adopt = (settings = settingsOf(both), prepare = (_table: Uint16Array) => {}) =>
    aControl(settings, {
      adopted: true,
      prepare: (datapath) => {
        const { control } = aControl(settingsOf(both));
        for (const { place } of control.services) {
          datapath.slots(place).set(control.datapath.slots(place));
        }
        prepare(datapath.slots(0));
      },
    });

  test('is left as it is: no slot moves', () => {
    const { control } = adopt();
    expect(control.services.map(({ slotsMoved }) => slotsMoved)).toEqual([0, 0]);
    expect(control.history).toEqual([]);
  });

  test('keeps the shares that a policy had found', () => {
    const balanced = settingsOf(both, '');
    const vips = balanced.vips.map((vip) => ({ ...vip, policy: { name: 'balance', settings: {} } }));
    const skew = (table: Uint16Array) => {
      const other = aControl(settingsOf(both)).control;
      other.services[0]!.pool.shares.set([0.1, 0.9]);
      other.publish(other.services[0]!);
      table.set(other.datapath.slots(0));
    };
    const { control, slotsBy } = adopt({ ...balanced, vips }, skew);
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 101, '10.0.0.12': 908 });
    expect(control.services[0]!.slotsMoved).toBe(0);
    expect(control.services[0]!.pool.shares[0]).toBeCloseTo(0.1, 2);
  });

  test('a backend that is not configured any more loses its slots at once', () => {
    const { slotsBy, datapath } = adopt(settingsOf({ ...both, [web]: '10.0.0.12' }), (table) => {
      for (const [slot, number] of table.entries()) if (number === 0) table[slot] = 77;
    });
    expect(slotsBy(web)).toEqual({ '10.0.0.12': slots });
    expect(datapath.slotCounts(0)[77]).toBeUndefined();
  });

  test('slots that nobody holds are given out', () => {
    const { slotsBy } = adopt(undefined, (table) => table.fill(noBackend));
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 505, '10.0.0.12': 504 });
  });

  test('what an operator wanted before still holds', async () => {
    const first = aControl();
    first.overrides.set(web, '10.0.0.11', { state: 'drain' });
    await first.overrides.save();
    const { slotsBy, control } = aControl(settingsOf(both), { state: first.state });
    expect(control.services[0]!.states).toEqual(['drain', 'ready']);
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 0, '10.0.0.12': slots });
  });
});

describe('shares that a policy moves', () => {
  const balanced = (backends: string) =>
    settingsOf({ [web]: backends }).vips.map((vip) => ({
      ...vip,
      policy: { name: 'balance', settings: {} },
    }));

  test('stay next to each other when the weight of one changes or another one comes', async () => {
    const settings = settingsOf({ [web]: '10.0.0.11, 10.0.0.12' });
    const { control } = aControl({ ...settings, vips: balanced('10.0.0.11, 10.0.0.12') });
    control.tick();
    const shares = () => [...control.services[0]!.pool.shares].map((share) => Number(share.toFixed(3)));
    control.overrides.set(web, '10.0.0.11', { weight: 3 });
    await control.apply(control.settings);
    for (let i = 0; i < 5; i++) control.tick();
    expect(shares()).toEqual([0.75, 0.25]);
    await control.apply({ ...settings, vips: balanced('10.0.0.11, 10.0.0.12, 10.0.0.13') });
    for (let i = 0; i < 5; i++) control.tick();
    expect(shares()).toEqual([0.6, 0.2, 0.2]);
    expect(control.services[0]!.pool.decisions.of(0)).toEqual([]);
  });

  test('are not started step by step where the daemon has just begun', () => {
    const settings = settingsOf({ [web]: '10.0.0.11, 10.0.0.12, 10.0.0.13' });
    const { control, datapath } = aControl(
      { ...settings, vips: balanced('10.0.0.11, 10.0.0.12, 10.0.0.13') },
      {
        prepare: (made) => {
          for (const number of [0, 1, 2]) made.obstacles.set(number, 'no neighbour entry');
        },
      },
    );
    control.tick();
    for (const number of [0, 1, 2]) {
      datapath.obstacles.delete(number);
      control.poll();
      control.tick();
    }
    const third = 1 / 3;
    expect([...control.services[0]!.pool.held]).toEqual([third, third, third]);
    // One that was gone meanwhile is.
    datapath.obstacles.set(1, 'no neighbour entry');
    control.poll();
    control.tick();
    datapath.obstacles.delete(1);
    control.poll();
    control.tick();
    expect(control.services[0]!.pool.shares[1]).toBeLessThan(0.05);
  });
});
