import { describe, expect, test } from 'vitest';
import { flowsLimit } from '../../src/admin/answers.ts';
import type { Asker } from '../../src/admin/http.ts';
import { change } from '../../src/daemon/change.ts';
import { flowsOf, parseClient } from '../../src/daemon/flows.ts';
import { backendsOf, statusOf, whyOf } from '../../src/daemon/status.ts';
import { traceOf } from '../../src/daemon/trace.ts';
import { type FlowRecord, noBackend } from '../../src/datapath/datapath.ts';
import { ns } from '../../src/units.ts';
import { aControl, dns, settingsOf, slots, web } from './stage.ts';

const asking = (query: Record<string, string> | string = {}): Asker => ({
  query: new URLSearchParams(query),
  isGone: false,
});

const flow = (changes: Partial<FlowRecord> = {}): FlowRecord => ({
  clientAddress: '10.9.0.1',
  clientPort: 4000,
  vip: 0,
  backend: 0,
  state: 'established',
  idleNs: 1.6e6,
  estimator: 'auto',
  ...changes,
});

function withFlows(records: readonly FlowRecord[]) {
  const stage = aControl();
  stage.datapath.records = [...records];
  return stage;
}

describe('GET /flows', () => {
  const records = [
    flow(),
    flow({ clientPort: 4001, backend: 1, state: 'new' }),
    flow({ clientAddress: '10.9.0.2', vip: 1, backend: 2, state: 'closing' }),
    flow({ clientAddress: '2001:db8::1', clientPort: 5, backend: 1 }),
  ];

  test('names vips and backends, and tells how long each was idle', async () => {
    const { control } = withFlows(records);
    expect(await flowsOf(control, asking())).toEqual({
      schema: 'inband.flows/1',
      flows: [
        { client: '10.9.0.1:4000', vip: web, backend: '10.0.0.11', state: 'established', idle_ms: 2 },
        { client: '10.9.0.1:4001', vip: web, backend: '10.0.0.12', state: 'new', idle_ms: 2 },
        { client: '10.9.0.2:4000', vip: dns, backend: '10.0.0.11', state: 'closing', idle_ms: 2 },
        { client: '[2001:db8::1]:5', vip: web, backend: '10.0.0.12', state: 'established', idle_ms: 2 },
      ],
      matched: 4,
      scanned: 4,
      truncated: false,
    });
  });

  test.each([
    [{ vip: web }, 3],
    [{ backend: '10.0.0.11' }, 2],
    [{ vip: web, backend: '10.0.0.11' }, 1],
    [{ state: 'new' }, 1],
    [{ client: '10.9.0.1' }, 2],
    [{ client: '10.9.0.1:4001' }, 1],
    [{ client: '[2001:db8::1]:5' }, 1],
    [{ client: '2001:0db8::1' }, 1],
    [{ client: '10.9.9.9' }, 0],
    [{ backend: '10.0.0.99' }, 0],
  ])('%j leaves %i of them', async (query, count) => {
    const { control } = withFlows(records);
    const { flows, matched, scanned } = await flowsOf(control, asking(query as Record<string, string>));
    expect([flows.length, matched, scanned]).toEqual([count, count, 4]);
  });

  test('all are counted and as many shown as asked for', async () => {
    const { control } = withFlows(Array.from({ length: 250 }, (_, i) => flow({ clientPort: i })));
    expect(await flowsOf(control, asking())).toMatchObject({ matched: 250, truncated: true });
    const { flows, truncated } = await flowsOf(control, asking({ limit: '250' }));
    expect([flows.length, truncated]).toEqual([250, false]);
  });

  test('a backend that is gone is named as long as its flows are there', async () => {
    const { control } = withFlows(records);
    await control.apply(settingsOf({ [web]: '10.0.0.12' }));
    const { flows } = await flowsOf(control, asking());
    expect(flows.map(({ vip, backend }) => [vip, backend])).toEqual([
      [web, '10.0.0.11'],
      [web, '10.0.0.12'],
      [dns, '10.0.0.11'],
      [web, '10.0.0.12'],
    ]);
  });

  test('the control loop has turns between two parts of the table', async () => {
    const { control } = withFlows(Array.from({ length: 100 }, (_, i) => flow({ clientPort: i })));
    let turns = 0;
    let goesOn = true;
    const turn = () => {
      turns++;
      if (goesOn) setImmediate(turn);
    };
    setImmediate(turn);
    await flowsOf(control, asking());
    goesOn = false;
    expect(turns).toBeGreaterThan(10);
  });

  test('ends when the client is gone, and no more than two are looked for at a time', async () => {
    const { control, datapath } = withFlows(Array.from({ length: 1_000 }, (_, i) => flow({ clientPort: i })));
    const asker = { ...asking(), isGone: false };
    const [first, second] = [flowsOf(control, asker), flowsOf(control, asking())];
    await expect(flowsOf(control, asking())).rejects.toMatchObject({ status: 429, code: 'LIMIT' });
    asker.isGone = true;
    expect((await first).scanned).toBeLessThan(1_000);
    expect((await second).scanned).toBe(1_000);
    datapath.records = [];
    expect((await flowsOf(control, asking())).scanned).toBe(0);
  });

  test.each([
    [{ state: 'open' }, 400, "the query: state: 'open' is not known; there is new, established, closing"],
    [{ limit: '0' }, 400, 'the query: limit: 0 is too small; give at least 1'],
    [
      { limit: String(flowsLimit.most + 1) },
      400,
      `the query: limit: ${flowsLimit.most + 1} is too big; give at most ${flowsLimit.most}`,
    ],
    [{ limit: 'all' }, 400, 'the query: limit: expected a number, found NaN'],
    [{ client: 'c1' }, 400, "the query: client: 'c1' is not ADDR or ADDR:PORT"],
    [{ client: '10.9.0.1:70000' }, 400, "the query: client: '10.9.0.1:70000' is not ADDR or ADDR:PORT"],
    [{ port: '1' }, 400, 'the query: port: unknown key; there is vip, backend, client, state, limit'],
    [{ vip: '10.0.0.1:81/tcp' }, 404, 'there is no vip 10.0.0.1:81/tcp'],
    ['state=new&state=closing', 400, 'the query: state: given twice'],
  ])('%j is refused', async (query, status, message) => {
    const { control } = withFlows(records);
    const refused = await flowsOf(control, asking(query as string)).catch((error) => error);
    expect(refused).toMatchObject({ status, message });
  });

  test.each([
    ['10.0.0.1', { address: '10.0.0.1', port: undefined }],
    ['10.0.0.1:80', { address: '10.0.0.1', port: 80 }],
    ['[::1]:80', { address: '::1', port: 80 }],
    ['::1', { address: '::1', port: undefined }],
    ['[10.0.0.1]:80', undefined],
    ['10.0.0.1:', undefined],
    [':80', undefined],
    ['', undefined],
  ])('a client %j is read as %j', (text, client) => {
    expect(parseClient(text)).toEqual(client);
  });
});

describe('GET /trace', () => {
  const query = { client: '10.9.0.1:4000', vip: web };
  /** 4000 modulo 1009. */
  const slot = 973;

  test('a flow goes to its backend, whatever the slot says', async () => {
    const { control, datapath } = withFlows([flow({ backend: 1 })]);
    datapath.slots(0)[slot] = 0;
    const answer = await traceOf(control, asking(query));
    expect(answer).toMatchObject({
      schema: 'inband.trace/1',
      client: '10.9.0.1:4000',
      vip: web,
      flow: { backend: '10.0.0.12', state: 'established', idle_ms: 2 },
      slot,
      slot_backend: '10.0.0.11',
      backend: '10.0.0.12',
      by: 'flow',
    });
    expect(answer.why).toContain('A flow stays where it began, whatever happens to the slots.');
  });

  test('without a flow the slot decides, and says whose it is and why', async () => {
    const { control, datapath, log } = withFlows([flow({ clientPort: 4001 })]);
    await change(control, { backend: '10.0.0.12', state: 'drain' }, log);
    datapath.obstacles.set(2, 'no neighbour entry');
    const { why, ...answer } = await traceOf(control, asking(query));
    expect(answer).toMatchObject({ flow: null, slot_backend: '10.0.0.11', backend: '10.0.0.11', by: 'slot' });
    expect(why).toEqual([
      'There is no flow of this client: its next packet begins one.',
      `Slot ${slot} is held by 10.0.0.11, which has 100.0 % of the slots; its weight alone would give it 50.0 %.`,
      '10.0.0.11 is ready, it is not checked, and packets can be sent to it.',
      'The policy static never changed its share.',
      'Without slots: 10.0.0.12 (drained).',
    ]);
  });

  test('a flow whose backend is lost meets what is configured', async () => {
    const { control, log } = withFlows([flow()]);
    await change(control, { backend: '10.0.0.11', vip: web, state: 'maintenance' }, log);
    const { why, backend } = await traceOf(control, asking(query));
    expect(backend).toBe('10.0.0.11');
    expect(why).toContain('10.0.0.11 is lost: by `lost_flows: keep` the packets still go there.');
    await control.apply(settingsOf({ [web]: '10.0.0.12' }, 'lost_flows: resteer'));
    expect((await traceOf(control, asking(query))).why).toContain(
      '10.0.0.11 is not configured any more: by `lost_flows: resteer` the next packet begins the flow anew at the backend of the slot.',
    );
  });

  test('where nobody is ready it goes nowhere', async () => {
    const { control, datapath, log } = aControl();
    for (const backend of ['10.0.0.11', '10.0.0.12']) await change(control, { backend, state: 'drain' }, log);
    expect(datapath.slotCounts(0)).toEqual({ [noBackend]: slots });
    const { why, ...answer } = await traceOf(control, asking(query));
    expect(answer).toMatchObject({ slot_backend: null, backend: null, by: 'none' });
    expect(why).toContain(`Slot ${slot} has no backend: none is ready, so that new flows are dropped.`);
  });

  test.each([
    [{ vip: web }, 400, 'the query: client: missing'],
    [{ client: '10.9.0.1', vip: web }, 400, "the query: client: '10.9.0.1' is not ADDR:PORT"],
    [{ client: '10.9.0.1:1' }, 400, 'the query: vip: missing'],
    [{ client: '10.9.0.1:1', vip: '10.0.0.1:81/tcp' }, 404, 'there is no vip 10.0.0.1:81/tcp'],
    [{ client: '[::1]:1', vip: web }, 400, `::1 and ${web} are not of one address family`],
  ])('%j is refused', async (wrong, status, message) => {
    const { control } = aControl();
    const refused = await traceOf(control, asking(wrong as never)).catch((error) => error);
    expect(refused).toMatchObject({ status, message });
  });
});

describe('what is told of backends', () => {
  test('GET /backends has state, health, weights, slots, flows and latencies of each', async () => {
    const { control, datapath, log } = aControl();
    Object.assign(datapath.traffic(0), { packets: 9, bytes: 900, flows: 3, held: 2 });
    datapath.samples.record(0, 0, 300_000, 1);
    await change(control, { backend: '10.0.0.11', vip: web, weight: 3 }, log);
    const { schema, backends } = backendsOf(control);
    expect(schema).toBe('inband.backends/1');
    expect(backends).toHaveLength(3);
    expect(backends[0]).toMatchObject({
      vip: web,
      backend: '10.0.0.11',
      number: 0,
      encap: 'l2',
      state: 'ready',
      health: { state: 'unchecked', check: 'none', ejected: null },
      weight: 3,
      weight_configured: 1,
      share: 0.75,
      slots: 757,
      flows_held: 2,
      flows_begun: 3,
      packets: 9,
      bytes: 900,
      in_flight: null,
      obstacle: null,
      latency: { kind: 'handshake', samples: 1 },
    });
    expect(backends[0]!.health.since).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(backends[1]).toMatchObject({ latency: null, slots: 252 });
  });

  test('GET /status keeps what it had and has state, health and held flows as well', () => {
    const { control, datapath } = aControl();
    datapath.traffic(1).held = 4;
    datapath.obstacles.set(1, 'no neighbour entry');
    control.poll();
    const status = statusOf(control, { startedAt: new Date(0), pinned: '/sys/fs/bpf/x' });
    expect(status).toMatchObject({
      schema: 'inband.status/1',
      started_at: '1970-01-01T00:00:00.000Z',
      datapath: { name: 'capture', adopted: false, pinned: '/sys/fs/bpf/x' },
      capacity: { backends: 1_024 },
      flows_capacity: 1_000_000,
    });
    expect(status.vips[0]!.slots).toBe(slots);
    expect(status.vips[0]!.backends[1]).toMatchObject({
      backend: '10.0.0.12',
      state: 'unusable',
      obstacle: 'no neighbour entry',
      admin: 'ready',
      health: { state: 'unchecked' },
      held: 4,
      share: 0,
    });
  });

  test('GET /why goes on over a changed pool', async () => {
    const { control } = aControl();
    const reason = { backend: 0, cause: 'slow', kind: 'request', latencyNs: 2e6, poolNs: 1e6, samples: 9 };
    control.services[0]!.pool.decisions.add(ns(1), {
      ...reason,
      spanNs: ns(1e7),
      shareBefore: 0.5,
      shareAfter: 0.4,
    } as never);
    await control.apply(settingsOf({ [web]: '10.0.0.11, 10.0.0.12, 10.0.0.13', [dns]: '10.0.0.11' }));
    const [vip] = whyOf(control).vips;
    expect(vip!.backends.map(({ decisions }) => decisions.length)).toEqual([1, 0, 0]);
  });
});
