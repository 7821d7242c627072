import { checksumAdd, checksumFinish } from './checksum.ts';
import { put16, put32 } from './put.ts';

/** Size of the outer header: IPv4 without options. */
export const ipipHeaderBytes = 20;
const ipProtoIpip = 4;
const timeToLive = 64;
const tosAt = 1;
const lengthAt = 2;
const identificationAt = 4;
const fragmentAt = 6;
const timeToLiveAt = 8;
const protoAt = 9;
const checksumAt = 10;
const sourceAt = 12;
const destinationAt = 16;
const dontFragment = 0x4000;

/**
 * Writes the outer IPv4 header of an IP-in-IP packet (RFC 2003) into `data[at, at + 20)`, right before the inner IPv4
 * packet of `innerLength` bytes that it takes type of service, identification and "don't fragment" from.
 * @param source and @param destination signed as in `Packet`
 */
export function writeIpipHeader(
  data: Uint8Array,
  at: number,
  innerLength: number,
  source: number,
  destination: number,
): void {
  const inner = at + ipipHeaderBytes;
  data[at] = 0x45;
  data[at + tosAt] = data[inner + tosAt]!;
  put16(data, at + lengthAt, innerLength + ipipHeaderBytes);
  put16(
    data,
    at + identificationAt,
    (data[inner + identificationAt]! << 8) | data[inner + identificationAt + 1]!,
  );
  put16(data, at + fragmentAt, (data[inner + fragmentAt]! << 8) & dontFragment);
  data[at + timeToLiveAt] = timeToLive;
  data[at + protoAt] = ipProtoIpip;
  put16(data, at + checksumAt, 0);
  put32(data, at + sourceAt, source);
  put32(data, at + destinationAt, destination);
  put16(data, at + checksumAt, checksumFinish(checksumAdd(0, data, at, inner)));
}
