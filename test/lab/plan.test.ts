import { describe, expect, test, vi } from 'vitest';
import { Lab } from '../../src/lab/lab.ts';
import { type LabOptions, labDefaults, labLimits, planLab } from '../../src/lab/plan.ts';
import { addCables, allHosts, namespaces, serverPorts } from '../../src/lab/topology.ts';

const largest = { ...labDefaults, servers: labLimits.servers, clients: labLimits.clients };

describe('setting a lab up', () => {
  test('needs root, and says so before it does anything', async () => {
    vi.spyOn(process, 'getuid').mockReturnValue(1000);
    await expect(Lab.up()).rejects.toMatchObject({
      code: 'PERMISSION',
      exitCode: 6,
      hint: expect.stringContaining('sudo'),
    });
    vi.restoreAllMocks();
  });
});

describe('the plan of a lab', () => {
  test('refuses options out of range with a usage error that names them', () => {
    const wrong: [Partial<LabOptions>, RegExp][] = [
      [{ servers: 0 }, /number of servers is 0/],
      [{ servers: 65 }, /number of servers is 65/],
      [{ clients: 17 }, /number of clients is 17/],
      [{ clients: 1.5 }, /number of clients is 1.5/],
      [{ delayUs: 1_000_001 }, /delay in us/],
      [{ delayUs: -1 }, /delay in us/],
      [{ delayUs: 5, delayLines: false }, /needs delay lines/],
      [{ processingDelayUs: 50, application: 'memcached' }, /no processing delay/],
      [{ application: 'nginx' as LabOptions['application'] }, /no application 'nginx'/],
      [{ prefix: 'Inb-' }, /prefix/],
      [{ prefix: '../x' }, /prefix/],
      [{ prefix: 'x; reboot' }, /prefix/],
      [{ vip: '10.77.0.11' }, /vip/],
      [{ vip: '10.77.0.2' }, /vip/],
      [{ vip: '10.77.1.1' }, /vip/],
      [{ vip: '10.77.0.256' }, /vip/],
      [{ vip: '10.77.0.5 dev lo' }, /vip/],
    ];
    for (const [options, message] of wrong) {
      expect(() => planLab('inb-abcdef', { ...labDefaults, ...options })).toThrow(
        expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
      );
    }
  });

  test('gives every host of the largest lab its own name, address, MAC address and interface index', () => {
    const plan = planLab('inb-abcdef', largest);
    const hosts = allHosts(plan);
    expect(hosts).toHaveLength(1 + 64 + 16);
    for (const member of ['name', 'netns', 'address', 'mac', 'port', 'portIfindex'] as const) {
      expect(new Set(hosts.map((host) => host[member])).size).toBe(hosts.length);
    }
    expect(hosts.map((host) => host.address)).not.toContain(plan.options.vip);
    expect(namespaces(plan).every((name) => name.startsWith('inb-abcdef-'))).toBe(true);
  });

  test('gives no interface a name longer than the kernel takes', () => {
    const plan = planLab('inb-abcdef', largest);
    const ports = plan.servers.flatMap((server) => Object.values(serverPorts(server)));
    for (const name of [...ports, ...allHosts(plan).map((host) => host.port)]) {
      expect(name.length).toBeLessThanOrEqual(15);
    }
  });

  test('has no delay line in the path when it is told so', () => {
    const cables = (delayLines: boolean) => addCables(planLab('inb-abcdef', { ...labDefaults, delayLines }));
    expect(cables(true)).toContain('s1line');
    expect(cables(false)).not.toContain('line');
    expect(cables(false)).toContain('peer name s1 netns inb-abcdef-switch');
  });
});
