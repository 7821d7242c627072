import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { change } from '../../src/daemon/change.ts';
import { noBackend } from '../../src/datapath/datapath.ts';
import { aControl, aDirectory, dns, settingsOf, slots, web } from './stage.ts';

const backend = '10.0.0.11';

describe('a change by an operator', () => {
  test('a drained backend keeps its flows and gets no new ones, in every vip that has it', async () => {
    const { control, datapath, log, lines, slotsBy } = aControl();
    datapath.traffic(0).held = 7;
    const answer = await change(control, { backend, state: 'drain' }, log);
    expect(answer).toEqual({
      schema: 'inband.change/1',
      changed: [
        { vip: web, backend, state: 'drain', weight: 1, flows_held: 7 },
        { vip: dns, backend, state: 'drain', weight: 1, flows_held: 0 },
      ],
      kept: true,
    });
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 0, '10.0.0.12': slots });
    // Nobody else is there: new flows are dropped rather than sent where none should go.
    expect(datapath.slotCounts(1)).toEqual({ [noBackend]: slots });
    expect(new Set(datapath.fates.values())).toEqual(new Set(['keep']));
    expect(lines.filter(({ event }) => event === 'backend_changed')).toHaveLength(2);
  });

  test('of one vip leaves the others as they are', async () => {
    const { control, log, slotsBy } = aControl();
    const { changed } = await change(control, { backend, vip: dns, state: 'maintenance' }, log);
    expect(changed.map(({ vip }) => vip)).toEqual([dns]);
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 505, '10.0.0.12': 504 });
  });

  test('flows of a backend in maintenance meet what is configured, and keep their backend once it is ready', async () => {
    const settings = settingsOf({ [web]: '10.0.0.11, 10.0.0.12' }, 'lost_flows: reset');
    const { control, datapath, log } = aControl(settings);
    await change(control, { backend, state: 'maintenance' }, log);
    expect([...datapath.fates]).toEqual([
      [0, 'reset'],
      [1, 'keep'],
    ]);
    await change(control, { backend, state: 'drain' }, log);
    expect(datapath.fates.get(0)).toBe('keep');
  });

  test('a weight counts at once, and null is as configured', async () => {
    const { control, log, slotsBy } = aControl();
    const [first] = (await change(control, { backend, vip: web, weight: 3 }, log)).changed;
    expect(first).toMatchObject({ weight: 3, state: 'ready' });
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 757, '10.0.0.12': 252 });
    await change(control, { backend, vip: web, weight: null }, log);
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 505, '10.0.0.12': 504 });
  });

  test('the weight 0 is for no new flows, and says so', async () => {
    const { control, log, slotsBy } = aControl();
    const { changed } = await change(control, { backend, vip: web, weight: 0 }, log);
    expect(changed).toMatchObject([{ weight: 0, state: 'ready' }]);
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 0, '10.0.0.12': slots });
    await change(control, { backend, vip: web, weight: 1 }, log);
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 505, '10.0.0.12': 504 });
  });

  test('state and weight change together', async () => {
    const { control, log, slotsBy } = aControl();
    await change(control, { backend, vip: web, state: 'drain' }, log);
    const { changed } = await change(control, { backend, vip: web, state: 'ready', weight: 2 }, log);
    expect(changed).toMatchObject([{ state: 'ready', weight: 2 }]);
    expect(slotsBy(web)['10.0.0.11']).toBe(673);
  });

  test('survives a reload, also one that takes the backend away and brings it back', async () => {
    const { control, log, slotsBy } = aControl();
    await change(control, { backend, vip: web, state: 'drain', weight: 5 }, log);
    await control.apply(settingsOf({ [web]: '10.0.0.12, 10.0.0.13' }));
    await control.apply(settingsOf({ [web]: '10.0.0.11, 10.0.0.12' }));
    expect(control.services[0]!.states).toEqual(['drain', 'ready']);
    expect(control.services[0]!.weightOf(0)).toBe(5);
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 0, '10.0.0.12': slots });
  });

  test('that cannot be written counts all the same, and the answer says why it is not kept', async () => {
    const inTheWay = join(aDirectory(), 'file');
    writeFileSync(inTheWay, '');
    const { control, log, events } = aControl(undefined, { state: inTheWay });
    for (const state of ['drain', 'ready'] as const) {
      expect(await change(control, { backend, state }, log)).toMatchObject({
        kept: false,
        note: `${inTheWay}/overrides-nowhere0.json cannot be written: ENOTDIR`,
      });
    }
    expect(control.overrides.failures).toBe(2);
    expect(events().filter((event) => event === 'state_unwritable')).toHaveLength(1);
  });

  test('names of vips and backends may be written in any way', async () => {
    const settings = settingsOf({ '[2001:db8::1]:443/tcp': '"2001:db8::11"' }, 'datapath: capture');
    const { control, log } = aControl(settings);
    const wanted = { backend: '2001:0db8:0::11', vip: '[2001:DB8:0::1]:443/TCP', state: 'drain' };
    expect((await change(control, wanted, log)).changed).toMatchObject([
      { vip: '[2001:db8::1]:443/tcp', backend: '2001:db8::11' },
    ]);
  });

  test.each([
    [
      { backend: '10.0.0.13', state: 'drain' },
      404,
      'no vip has a backend 10.0.0.13',
      'did you mean 10.0.0.11?',
    ],
    [
      { backend: '10.0.0.12', vip: dns, state: 'drain' },
      404,
      `the vip ${dns} does not have a backend 10.0.0.12`,
      'did you mean 10.0.0.11?',
    ],
    [
      { backend, vip: '10.0.0.1:81/tcp', state: 'drain' },
      404,
      'there is no vip 10.0.0.1:81/tcp',
      `did you mean ${web}?`,
    ],
    [{ backend }, 400, 'the body: nothing to change; give state or weight', undefined],
    [{ state: 'drain' }, 400, 'the body: backend: missing', undefined],
    [
      { backend, state: 'asleep' },
      400,
      "the body: state: 'asleep' is not known; there is ready, drain, maintenance",
      undefined,
    ],
    [{ backend, weight: -1 }, 400, 'the body: weight: -1 is too small; give at least 0', undefined],
    [
      { backend, weight: 1e9 },
      400,
      'the body: weight: 1000000000 is too big; give at most 1000000',
      undefined,
    ],
    [{ backend, weight: '3' }, 400, "the body: weight: expected a number, found '3'", undefined],
    [
      { backend, state: 'drain', wait: true },
      400,
      'the body: wait: unknown key; there is backend, vip, state, weight',
      undefined,
    ],
    [['drain'], 400, 'the body: expected a mapping, found a list', undefined],
    [null, 400, 'the body: expected a mapping, found nothing', undefined],
  ])('%j is refused, and changes nothing', async (body, status, message, hint) => {
    const { control, log, slotsBy } = aControl();
    const refused = await Promise.resolve()
      .then(() => change(control, body, log))
      .catch((error) => error);
    expect(refused).toMatchObject({ status, message, hint });
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 505, '10.0.0.12': 504 });
    expect(control.overrides.of(web, backend)).toEqual({ state: 'ready', weight: null });
  });

  test('a weight that cannot be served is taken back', async () => {
    const { control, datapath, log, slotsBy } = aControl();
    datapath.configure = () => {
      throw new Error('no room');
    };
    await expect(change(control, { backend, weight: 4 }, log)).rejects.toThrow('no room');
    expect(control.overrides.of(web, backend).weight).toBeNull();
    expect(slotsBy(web)).toEqual({ '10.0.0.11': 505, '10.0.0.12': 504 });
  });

  test('changes and reloads follow one another, whoever asks first', async () => {
    const { control, log } = aControl();
    const order: string[] = [];
    const note = (what: string) => () => order.push(what);
    await Promise.all([
      change(control, { backend, weight: 2 }, log).then(note('first')),
      control
        .inTurn(async () => control.apply(settingsOf({ [web]: '10.0.0.12, 10.0.0.13' })))
        .then(note('second')),
      change(control, { backend: '10.0.0.13', state: 'drain' }, log).then(note('third')),
    ]);
    expect(order).toEqual(['first', 'second', 'third']);
    expect(control.services[0]!.states).toEqual(['ready', 'drain']);
  });
});
