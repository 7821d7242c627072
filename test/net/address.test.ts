import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InbandError } from '../../src/errors.ts';
import {
  formatAddress,
  formatEndpoint,
  formatProto,
  parseAddress,
  parseEndpoint,
} from '../../src/net/address.ts';
import { anyAddress } from '../support/arbitraries.ts';

const anyOfBoth = fc.constantFrom<4 | 6>(4, 6).chain(anyAddress);

/** What is written after it was read. */
function canonical(text: string): string | undefined {
  const address = parseAddress(text);
  return address && formatAddress(address.family, ...address.words);
}

describe('addresses', () => {
  it('any address survives being written and read', () => {
    fc.assert(
      fc.property(anyOfBoth, (address) => {
        expect(parseAddress(formatAddress(address.family, ...address.words))).toEqual(address);
      }),
    );
  });

  it('words are signed, most significant first', () => {
    expect(parseAddress('192.0.2.1')).toEqual({ family: 4, words: [0xc0000201 | 0, 0, 0, 0] });
    expect(parseAddress('2001:db8:8000::8000:1')).toEqual({
      family: 6,
      words: [0x20010db8, 0x80000000 | 0, 0, 0x80000001 | 0],
    });
  });

  it('IPv6 is written as RFC 5952 has it', () => {
    expect(canonical('2001:0DB8:0:0:0:0:0:1')).toBe('2001:db8::1');
    expect(canonical('2001:db8:0:1:1:1:1:1')).toBe('2001:db8:0:1:1:1:1:1');
    expect(canonical('2001:0:0:1:0:0:0:1')).toBe('2001:0:0:1::1');
    expect(canonical('2001:db8:0:0:1:0:0:1')).toBe('2001:db8::1:0:0:1');
    expect(canonical('::')).toBe('::');
    expect(canonical('::1')).toBe('::1');
    expect(canonical('1::')).toBe('1::');
  });

  it('an IPv4-mapped address stays IPv6', () => {
    expect(parseAddress('::ffff:192.0.2.1')).toEqual({ family: 6, words: [0, 0, 0xffff, 0xc0000201 | 0] });
  });

  for (const text of [
    '',
    '10.0.0',
    '10.1',
    '167772161',
    '0x0a.0.0.1',
    '010.0.0.1',
    '10.0.0.256',
    '10.0.0.1.1',
    '10.0.0.1/8',
    ' 10.0.0.1',
    'fe80::1%eth0',
    '%',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '12345::',
    '[::1]',
    'localhost',
  ]) {
    it(`'${text}' is no address`, () => {
      expect(parseAddress(text)).toBeUndefined();
    });
  }
});

describe('endpoints', () => {
  it('any endpoint survives being written and read', () => {
    const anyEndpoint = fc.record({
      address: anyOfBoth,
      port: fc.integer({ min: 1, max: 65535 }),
      proto: fc.constantFrom(6, 17),
    });
    fc.assert(
      fc.property(anyEndpoint, (endpoint) => {
        expect(parseEndpoint(formatEndpoint(endpoint), 'vip')).toEqual(endpoint);
      }),
    );
  });

  it('they are written with brackets around IPv6', () => {
    expect(formatEndpoint(parseEndpoint('10.0.0.1:80/tcp', 'vip'))).toBe('10.0.0.1:80/tcp');
    expect(formatEndpoint(parseEndpoint(' [2001:DB8::1]:443/UDP ', 'vip'))).toBe('[2001:db8::1]:443/udp');
  });

  it('a protocol without a name is a number', () => {
    expect(formatProto(132)).toBe('132');
  });

  for (const text of [
    '10.0.0.1',
    '10.0.0.1:80',
    '10.0.0.1:0/tcp',
    '10.0.0.1:65536/tcp',
    '10.0.0.1:99999999/tcp',
    '10.0.0.1:-1/tcp',
    '10.0.0.1:http/tcp',
    '10.0.0.1:80/sctp',
    '10.0.0.1:80/tcp/udp',
    '10.0.0.300:80/tcp',
    '[10.0.0.1]:80/tcp',
    '2001:db8::1:80/tcp',
    '[2001:db8::1]/tcp',
    '[fe80::1%eth0]:80/tcp',
    ':80/tcp',
    '',
  ]) {
    it(`'${text}' is refused with what was wrong and what is right`, () => {
      const refusal = expect.objectContaining({
        code: 'USAGE',
        message: `--vip: '${text}' is not ADDR:PORT/PROTO`,
        hint: expect.stringContaining('10.0.0.1:80/tcp'),
      });
      expect(() => parseEndpoint(text, '--vip')).toThrow(refusal);
      expect(() => parseEndpoint(text, '--vip')).toThrow(InbandError);
    });
  }
});
