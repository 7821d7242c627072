import { InbandError } from '../../errors.ts';
import { formatEndpoint, parseAddress } from '../../net/address.ts';
import type { DatapathOptions, DatapathVip } from '../datapath.ts';
import { interfaces, type NetInterface } from '../xdp/neighbours.ts';

/** Names of the estimators that options ask for. */
export function estimatorsOf({ estimator = 'auto', cliff }: DatapathOptions): string[] {
  return estimator === 'auto' ? ['auto'] : ['handshake', `ensemble:${cliff}:backend`];
}

/** @throws InbandError `USAGE` for a backend that is no address, or that cannot be reached as it is to be */
export function checkVips(vips: readonly DatapathVip[]): void {
  for (const { endpoint, backends } of vips) {
    for (const { name, encapsulation } of backends) {
      const address = parseAddress(name);
      if (!address) throw new InbandError('USAGE', `--backend: '${name}' is not an address`);
      if (encapsulation !== 'ipip' || (address.family === 4 && endpoint.address.family === 4)) continue;
      const what = address.family === 6 ? `the backend ${name}` : `the vip ${formatEndpoint(endpoint)}`;
      throw new InbandError('USAGE', `encap=ipip: ${what} is not IPv4`, {
        hint: 'IP-in-IP carries IPv4 in IPv4; leave encap=ipip out',
      });
    }
  }
}

/** @throws InbandError `ENVIRONMENT` if there is no such interface, or it is down */
export function interfaceOf(name: string): NetInterface {
  const all = interfaces();
  const found = all.find((one) => one.name === name);
  if (!found) {
    throw new InbandError('ENVIRONMENT', `--interface: there is no interface '${name}'`, {
      hint: `there is ${all.map((one) => one.name).join(', ')}`,
    });
  }
  if (found.up) return found;
  throw new InbandError('ENVIRONMENT', `--interface: ${name} is down`, { hint: `ip link set ${name} up` });
}
