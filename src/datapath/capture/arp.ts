/** Offsets in a frame that carries ARP for IPv4 over Ethernet (RFC 826), and its sizes. */
const etherTypeAt = 12;
const operationAt = 20;
const senderAt = 22;
const targetAt = 32;
const targetAddressAt = 38;
const macBytes = 6;
const addressBytes = 4;
/** Without padding. */
export const arpFrameBytes = 42;

/** Hardware type Ethernet, protocol IPv4, address lengths 6 and 4, request. */
const requestHead = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1];

/** Whether a frame of that length, without a VLAN tag, asks who has an IPv4 address. */
export function isArpRequest(frame: Uint8Array, length: number): boolean {
  if (length < arpFrameBytes) return false;
  for (let i = 0; i < requestHead.length; i++) if (frame[etherTypeAt + i] !== requestHead[i]) return false;
  return true;
}

/** The IPv4 address that a request asks for, signed as in `Packet`. */
export function askedAddress(frame: Uint8Array): number {
  return (
    (frame[targetAddressAt]! << 24) |
    (frame[targetAddressAt + 1]! << 16) |
    (frame[targetAddressAt + 2]! << 8) |
    frame[targetAddressAt + 3]!
  );
}

/** Turns a request, in place, into the reply that the address is at `mac`. */
export function answerArp(frame: Uint8Array, mac: Uint8Array): void {
  // A Buffer's own `slice` copies nothing.
  const asked = Uint8Array.from(frame.subarray(targetAddressAt, targetAddressAt + addressBytes));
  // Who asked, with both addresses, becomes the target.
  frame.copyWithin(targetAt, senderAt, senderAt + macBytes + addressBytes);
  frame.set(mac, senderAt);
  frame.set(asked, senderAt + macBytes);
  frame[operationAt + 1] = 2;
  frame.copyWithin(0, targetAt, targetAt + macBytes);
  frame.set(mac, macBytes);
}
