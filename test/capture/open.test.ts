import { describe, expect, test } from 'vitest';
import { parseRunBackend } from '../../src/cli/flags.ts';
import type { DatapathBackend, DatapathOptions } from '../../src/datapath/datapath.ts';
import { type DatapathName, openDatapath } from '../../src/datapath/open.ts';
import { epochDefault, timeoutsDefault } from '../../src/latency/ensemble.ts';
import { parseEndpoint } from '../../src/net/address.ts';
import { thrownBy } from '../native/support.ts';

const options = (backend: DatapathBackend, changes: Partial<DatapathOptions> = {}): DatapathOptions => ({
  interface: 'no-such0',
  vips: [{ endpoint: parseEndpoint('10.0.0.1:80/tcp', 'vip'), backends: [backend] }],
  slots: 13,
  flows: 1_000,
  timeoutsNs: timeoutsDefault,
  epochNs: epochDefault,
  cliff: 'damped',
  ...changes,
});
const routed: DatapathBackend = { name: '10.0.0.11', encapsulation: 'ipip' };
const refused = (name: DatapathName, given: DatapathOptions) => expect(openDatapath(name, given)).rejects;

describe('a backend as run takes it', () => {
  test('says how packets go there, or nothing', () => {
    expect(parseRunBackend('10.0.0.11')).toEqual({ name: '10.0.0.11', weight: 1 });
    expect(parseRunBackend('10.0.0.11,encap=ipip')).toEqual({
      name: '10.0.0.11',
      weight: 1,
      encapsulation: 'ipip',
    });
    expect(parseRunBackend('10.0.0.11,weight=3,encap=l2')).toEqual({
      name: '10.0.0.11',
      weight: 3,
      encapsulation: 'l2',
    });
  });

  test.each(['10.0.0.11,encap=gre', '10.0.0.11,encap=', '10.0.0.11,encap=ipip,weight=3', 'x,encap=ipip'])(
    'is refused as %s',
    (text) => {
      expect(thrownBy(() => parseRunBackend(text))).toMatchObject({ code: 'USAGE' });
    },
  );
});

describe('a datapath', () => {
  test('is not XDP for what XDP does not do, and the error says what does', async () => {
    const code = 'USAGE';
    const hint = expect.stringContaining('--datapath capture');
    await refused('xdp', options(routed)).toMatchObject({ code, hint });
    await refused('xdp', options({ name: '10.0.0.11' }, { answerArp: true })).toMatchObject({ code, hint });
  });

  test.each(['xdp', 'capture', 'auto'] as const)('%s needs an interface that there is', async (name) => {
    await refused(name, options({ name: '10.0.0.11' })).toMatchObject({
      code: expect.stringMatching(/^(ENVIRONMENT|NATIVE_MISSING)$/),
      message: expect.stringMatching(/no interface 'no-such0'|native/),
    });
  });

  test('carries IPv4 in IPv4 only', async () => {
    const vips = [{ endpoint: parseEndpoint('[2001:db8::1]:80/tcp', 'vip'), backends: [routed] }];
    await refused('capture', options(routed, { vips })).toMatchObject({
      code: 'USAGE',
      message: 'encap=ipip: the vip [2001:db8::1]:80/tcp is not IPv4',
    });
    await refused('capture', options({ ...routed, name: '2001:db8::11' })).toMatchObject({
      code: 'USAGE',
      message: 'encap=ipip: the backend 2001:db8::11 is not IPv4',
    });
  });
});
