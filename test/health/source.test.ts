import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isNear, sourceOf } from '../../src/health/source.ts';
import { formatAddress } from '../../src/net/address.ts';
import { anyAddress } from '../support/arbitraries.ts';
import { ip } from '../support/frames.ts';

const shown = (address = ip('0.0.0.0')) => formatAddress(address.family, ...address.words);

describe('the address that checks come from', () => {
  test('is that of the interface', () => {
    expect(shown(sourceOf('lo', 4, []))).toBe('127.0.0.1');
  });

  test('is none of an interface that is not there', () => {
    expect(sourceOf('nowhere0', 4, [ip('10.0.0.11')])).toBeUndefined();
  });

  test('is looked for in the subnet of the backends', () => {
    const own = { address: '10.0.1.5', netmask: '255.255.255.0' };
    expect(isNear(own, ip('10.0.1.200'))).toBe(true);
    expect(isNear(own, ip('10.0.2.200'))).toBe(false);
    expect(isNear(own, ip('2001:db8::1'))).toBe(false);
    const six = { address: '2001:db8::5', netmask: 'ffff:ffff:ffff:ffff::' };
    expect(isNear(six, ip('2001:db8::ffff'))).toBe(true);
    expect(isNear(six, ip('2001:db9::ffff'))).toBe(false);
  });

  test('a subnet of a single address holds that, and one of all holds any', () => {
    fc.assert(
      fc.property(anyAddress(4), anyAddress(4), (a, b) => {
        const address = shown(a);
        expect(isNear({ address, netmask: '0.0.0.0' }, b)).toBe(true);
        expect(isNear({ address, netmask: '255.255.255.255' }, b)).toBe(address === shown(b));
      }),
    );
  });
});
