import { appendFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { BackendsAnswer, FlowsAnswer, ReloadAnswer, TraceAnswer } from '../../src/admin/answers.ts';
import { askText } from '../../src/admin/client.ts';
import { unharmed, useRig, withoutChecks } from '../faults/support.ts';

/** Shares that change by themselves would be others at each look. */
const still = { ...withoutChecks, policy: 'static', slots: 1009 };
const rig = useRig(still);

const backends = async () => (await rig().balancer.get<BackendsAnswer>('/backends')).backends;
const slots = async () => (await backends()).map((one) => one.slots);
const reload = () => rig().balancer.post<ReloadAnswer>('/reload', {});
const metrics = async () => askText(rig().balancer.socket, '/metrics');

describe('a running load balancer', () => {
  test('takes the file again on SIGHUP, under load and without harm', () =>
    unharmed(rig(), async () => {
      const { balancer, servers } = rig();
      rig().configure([servers[0]!.name]);
      process.kill(balancer.pid, 'SIGHUP');
      await expect.poll(slots, { timeout: 10_000 }).toEqual([1009]);
      rig().configure();
      process.kill(balancer.pid, 'SIGHUP');
      await expect.poll(slots, { timeout: 10_000 }).toEqual([505, 504]);
      const reloads = balancer.log.filter(({ event }) => event === 'config_reloaded');
      expect(reloads).toHaveLength(2);
      expect(reloads.map((line) => line.slots_moved)).toEqual([504, 504]);
    }));

  test('goes on with what it has when the file is wrong or needs a restart, and says so', () =>
    unharmed(rig(), async () => {
      const { balancer } = rig();
      const before = await balancer.get<{ config: unknown }>('/config');
      appendFileSync(balancer.configFile, '\n]');
      await expect(reload()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      expect(await metrics()).toContain('inband_config_last_reload_success 0\n');
      rig().configure(undefined, { ...still, slots: 2003, flows: 5_000 });
      await expect(reload()).rejects.toMatchObject({
        message: 'what cannot change while the daemon runs: slots, flows',
        details: ['slots: 1009 -> 2003', 'flows: 1000000 -> 5000'],
      });
      writeFileSync(balancer.configFile, '');
      await expect(reload()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      expect(await balancer.get('/config')).toEqual(before);
      expect(await slots()).toEqual([505, 504]);
      rig().configure(undefined, still);
      expect(await reload()).toMatchObject({
        slots_moved: 0,
        vips: { added: 0, removed: 0, changed: 0, unchanged: 1 },
      });
      const text = await metrics();
      expect(text).toContain('inband_config_last_reload_success 1\n');
      expect(text).toMatch(/inband_config_reloads_total\{result="failure"\} 3\n/);
    }));

  test('finds the flows of a client, and says where its packets go and why', () =>
    unharmed(rig(), async () => {
      const { balancer } = rig();
      const find = () => balancer.get<FlowsAnswer>('/flows?state=established&limit=1');
      await expect.poll(async () => (await find()).flows.length, { timeout: 5_000 }).toBe(1);
      const [flow] = (await find()).flows;
      const query = new URLSearchParams({ client: flow!.client, vip: balancer.vip });
      const trace = await balancer.get<TraceAnswer>(`/trace?${query}`);
      expect(trace).toMatchObject({ client: flow!.client, by: 'flow', backend: flow!.backend });
      // Without shares that change a flow is where its slot is.
      expect(trace.slot_backend).toBe(flow!.backend);
      const held = (await backends()).reduce((sum, one) => sum + one.flows_held, 0);
      expect(held).toBeGreaterThan(0);
    }));

  test('keeps over a restart what an operator wanted, and the flows of who is drained', () =>
    unharmed(rig(), async () => {
      const { balancer, servers } = rig();
      const [backend] = servers.map(({ address }) => address);
      await expect.poll(async () => (await backends())[0]!.flows_held, { timeout: 5_000 }).toBeGreaterThan(0);
      await balancer.post('/backend', { backend, state: 'drain', weight: 3 });
      expect(await slots()).toEqual([0, 1009]);
      await balancer.end('SIGTERM');
      expect(balancer.log.at(-1)).toMatchObject({ event: 'stopped', forwarding: 'goes on' });
      await balancer.start();
      const [first] = await backends();
      expect(first).toMatchObject({ state: 'drain', weight: 3, weight_configured: 1, slots: 0 });
      await balancer.post('/backend', { backend, state: 'ready', weight: null });
      expect(await slots()).toEqual([505, 504]);
    }));
});
