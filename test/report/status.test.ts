import { describe, expect, it } from 'vitest';
import type { Status } from '../../src/daemon.ts';
import { statusText } from '../../src/report/status.ts';

const none = { samples: 0, p50_ns: null, p95_ns: null, p99_ns: null, mean_ns: null };
const some = { samples: 40, p50_ns: 300e3, p95_ns: 900e3, p99_ns: 1.2e6, mean_ns: 350e3 };

function aStatus(latency: Record<string, typeof none | typeof some>[]): Status {
  const backends = latency.map((kinds, i) => ({
    backend: `10.0.0.${i + 1}`,
    weight: 1,
    share: 0.5,
    number: i,
    state: 'up',
    admin: 'ready',
    health: { state: 'up', since: '2026-01-01T00:00:00.000Z', check: 'tcp', reason: '', ejected: null },
    held: 3,
    packets: 10,
    bytes: 1000,
    flows: 1,
    latency: kinds,
  }));
  return {
    schema: 'inband.status/1',
    pid: 7,
    started_at: '2026-01-01T00:00:00.000Z',
    datapath: {
      name: 'capture',
      mode: 'l2',
      reason: 'no XDP: refused',
      interface: 'eth0',
      adopted: false,
      pinned: null,
    },
    capacity: { vips: 64, backends: 64, flows: 1_000 },
    policy: { name: 'balance', tick_ms: 1 },
    control: { ticks: 5, ticks_late: 0 },
    vips: [{ vip: '10.0.0.100:80/tcp', slots: 65_537, generation: 1, slots_moved: 2, backends }],
    packets: { tx: 20, not_vip: 0 },
    flows: { created: 2, active: 250 },
    flows_capacity: 1_000,
  } as unknown as Status;
}

const text = (status: Status) => statusText(status, { width: 200, color: false });

describe('status in words', () => {
  it('has the datapath, its mode, and why it is not a better one', () => {
    expect(text(aStatus([{ request: some }]))).toContain('datapath capture l2 on eth0 (no XDP: refused)');
  });

  it('says whether forwarding outlives the daemon', () => {
    const status = aStatus([{ request: some }]);
    expect(text(status)).toContain('\nnot pinned: it ends with the daemon\n');
    const pinned = { ...status.datapath, pinned: '/sys/fs/bpf/inband/eth0-1' };
    expect(text({ ...status, datapath: pinned })).toContain(
      '\npinned at /sys/fs/bpf/inband/eth0-1: it goes on without the daemon\n',
    );
    expect(text({ ...status, datapath: { ...pinned, adopted: true } })).toContain(
      ', and did before this one\n',
    );
  });

  it('has the state of each backend, what keeps it from being used, and how full the flow table is', () => {
    const status = aStatus([{ request: some }, { request: some }, { request: some }]);
    const [vip] = status.vips;
    const [first, second, third] = vip!.backends;
    const ejected = { until: '2026-01-01T00:00:09.000Z', reason: '3 SYNs unanswered', times: 1 };
    const shown = text({
      ...status,
      vips: [
        {
          ...vip!,
          backends: [
            { ...first!, admin: 'drain', health: { ...first!.health, state: 'down', reason: 'refused' } },
            { ...second!, health: { ...second!.health, ejected } },
            { ...third!, obstacle: 'no neighbour entry', state: 'unusable' },
          ],
        },
      ],
    });
    expect(shown).toMatch(/10\.0\.0\.1 +drain\/down/);
    expect(shown).toMatch(/10\.0\.0\.2 +ejected/);
    expect(shown).toMatch(/10\.0\.0\.3 +unusable/);
    expect(shown).toContain(
      '\n10.0.0.1: refused\n10.0.0.2: 3 SYNs unanswered\n10.0.0.3: no neighbour entry\n',
    );
    expect(shown).toMatch(/\nflow table: 250 of 1,000 \(25%\)$/);
  });

  it('has the kinds of which any backend has samples, and no others', () => {
    const shown = text(
      aStatus([
        { request: some, server: none, gap: none },
        { request: none, server: some, gap: none },
      ]),
    );
    expect(shown).toContain('request p50');
    expect(shown).toContain('server p50');
    expect(shown).not.toContain('gap');
    expect(shown).toMatch(/10\.0\.0\.1 .*300us +900us +1\.2ms +- +- +-/);
  });

  it('has no latencies where there are none', () => {
    expect(text(aStatus([{ request: none }]))).not.toContain('p50');
  });
});
