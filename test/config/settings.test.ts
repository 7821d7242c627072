import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { checkConfigText, loadConfig } from '../../src/config/load.ts';
import { isError, problemLines } from '../../src/config/problems.ts';
import { writeDuration } from '../../src/config/scalars.ts';
import type { Settings } from '../../src/config/settings.ts';
import { toDocument } from '../../src/config/write.ts';
import { healthDefault } from '../../src/health/settings.ts';
import { formatEndpoint } from '../../src/net/address.ts';
import { parseDuration } from '../../src/units.ts';
import { temporaryFile } from '../datapath/replay/support.ts';
import { and, backend, but, good } from './good.ts';

const settings = (text: string): Settings => {
  const { value, problems } = checkConfigText(text, 'lb.yaml');
  expect(problemLines(problems)).toEqual([]);
  return value!;
};

describe('settings', () => {
  test('a short file leaves the rest at the defaults', () => {
    const { vips, ...rest } = settings(good);
    expect(vips.map(({ endpoint }) => formatEndpoint(endpoint))).toEqual(['10.0.0.1:80/tcp']);
    expect(vips[0]).toMatchObject({
      backends: [
        { name: '10.0.0.11', weight: 1 },
        { name: '10.0.0.12', weight: 1 },
      ],
      policy: { name: 'balance', settings: {} },
    });
    expect(rest).toEqual({
      interface: 'eth0',
      datapath: 'auto',
      answerArp: false,
      policy: { name: 'balance', settings: {} },
      health: healthDefault,
      timeoutsNs: [64e3, 128e3, 256e3, 512e3, 1024e3, 2048e3, 4096e3],
      epochNs: 64e6,
      cliff: 'damped',
      tickNs: 1e6,
      slots: 65_537,
      table: 'minimal',
      flows: 1_000_000,
      lostFlows: 'keep',
      detach: false,
      state: '/var/lib/inband',
      socket: '/run/inband/inband.sock',
      httpPublic: false,
      logLevel: 'info',
    });
  });

  test('each vip has its own pool, and the common policy unless it has its own', () => {
    const text = but(
      'pools:',
      '  - { address: 10.0.0.2:53/udp, pool: { backends: [10.0.0.21, 10.0.0.22] }, policy: shift }\npools:',
    );
    const { vips } = settings(`${text}policy: { name: l3, penalty: 300ms }\n`);
    expect(vips.map(({ backends, policy }) => [backends.map(({ name }) => name), policy])).toEqual([
      [['10.0.0.11', '10.0.0.12'], { name: 'l3', settings: { penalty: 300e6 } }],
      [['10.0.0.21', '10.0.0.22'], { name: 'shift', settings: {} }],
    ]);
  });

  test('IPv6 and encapsulation with the capture datapath', () => {
    const text = but('10.0.0.1:80/tcp', '"[2001:DB8::0:1]:80/tcp"').replace('10.0.0.11', '2001:db8:0::11');
    const { vips } = settings(`${text}datapath: capture\n`);
    expect(formatEndpoint(vips[0]!.endpoint)).toBe('[2001:db8::1]:80/tcp');
    expect(vips[0]!.backends[0]!.name).toBe('2001:db8::11');
    expect(settings(backend(', encap: ipip')).vips[0]!.backends[0]).toMatchObject({ encapsulation: 'ipip' });
  });

  test('an anchor shares what is written once', () => {
    const text = `interface: eth0
vips:
  - { address: 10.0.0.1:80/tcp, pool: &web { backends: [10.0.0.11, 10.0.0.12] } }
  - { address: 10.0.0.1:443/tcp, pool: *web }
`;
    expect(settings(text).vips[1]!.backends).toEqual(settings(text).vips[0]!.backends);
  });

  test('a file that is in order gives its settings, another one an error with all of its problems', () => {
    expect(loadConfig(temporaryFile('lb.yaml', good)).slots).toBe(65_537);
    const path = temporaryFile('lb.yaml', and('slots: 12\nflows: 0'));
    expect(() => loadConfig(path)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', exitCode: 3, message: `${path}: 2 errors` }),
    );
  });

  test('examples that are shipped have nothing to be said against', () => {
    for (const name of ['minimal', 'example']) {
      settings(readFileSync(new URL(`../../config/${name}.yaml`, import.meta.url), 'utf8'));
    }
  });

  test('written down and read again they are the same', () => {
    const all = readFileSync(new URL('../../config/example.yaml', import.meta.url), 'utf8');
    const texts = [good, all, `${backend(', encap: ipip')}policy: { name: l3, penalty: 1.5s, ewma: peak }\n`];
    for (const text of texts) {
      const first = settings(text);
      expect(settings(JSON.stringify(toDocument(first)))).toEqual(first);
    }
  });
});

test('a duration that is written is read as the same one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (value) => {
      expect(parseDuration(writeDuration(value), 'it')).toBe(value);
    }),
  );
});

test('whatever is in a file, it is refused or understood', () => {
  const paths: (string | number)[][] = [
    ['interface'],
    ['vips'],
    ['vips', 0],
    ['vips', 0, 'address'],
    ['vips', 0, 'pool'],
    ['pools'],
    ['pools', 'web'],
    ['pools', 'web', 'backends'],
    ['pools', 'web', 'backends', 1],
    ['pools', 'web', 'backends', 1, 'address'],
    ['policy'],
    ['ensemble'],
    ['slots'],
    ['admin'],
  ];
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
      const document = parseDocument(good);
      document.setIn(path, document.createNode(value));
      const { value: read, problems } = checkConfigText(document.toString(), 'lb.yaml');
      expect(read === undefined).toBe(problems.some(isError));
      for (const { line, column, message } of problems) {
        expect(Math.min(line, column)).toBeGreaterThan(0);
        expect(message).not.toMatch(/undefined|NaN|Invalid input|\[object/);
      }
    }),
    { numRuns: 500 },
  );
});
