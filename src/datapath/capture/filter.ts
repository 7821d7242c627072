import { type Endpoint, formatAddress } from '../../net/address.ts';

/** `02:77:00:00:00:01` */
export const macText = (mac: Uint8Array): string =>
  [...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

/**
 * The capture filter (pcap-filter(7)) for frames to the addresses of vips. Capturing is promiscuous, so the frame must be
 * for this interface: what a switch floods, frames on their way from another load balancer to a backend among it, is not
 * to be forwarded once more, nor is what this machine sends itself.
 * @param answerArp whether requests for the vips' link addresses are wanted too
 */
export function captureFilter(vips: readonly Endpoint[], mac: Uint8Array, answerArp: boolean): string {
  const unique = [
    ...new Map(vips.map(({ address }) => [formatAddress(address.family, ...address.words), address])),
  ];
  const to = (family: number) =>
    unique.filter(([, address]) => address.family === family).map(([text]) => text);
  const list = (addresses: readonly string[]) => addresses.join(' or ');
  const parts = [
    ...(to(4).length > 0 ? [`ip dst host (${list(to(4))})`] : []),
    ...(to(6).length > 0 ? [`ip6 dst host (${list(to(6))})`] : []),
  ];
  const packets = `ether dst ${macText(mac)} and (${parts.join(' or ')})`;
  if (!answerArp || to(4).length === 0) return packets;
  return `(${packets}) or (arp[6:2] = 1 and arp dst host (${list(to(4))}))`;
}
