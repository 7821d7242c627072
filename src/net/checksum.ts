/**
 * The 16-bit one's complement sum of `data[from, to)` added to `sum`, not yet folded (RFC 1071).
 * An odd last byte is padded with zero, so only the last piece of a message may be odd.
 */
export function checksumAdd(sum: number, data: Uint8Array, from = 0, to = data.length): number {
  let at = from;
  for (; at + 1 < to; at += 2) sum += (data[at]! << 8) | data[at + 1]!;
  if (at < to) sum += data[at]! << 8;
  return sum;
}

/** Folds a sum to the checksum field's value, 0 to 65535 (RFC 1071). */
export function checksumFinish(sum: number): number {
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** The checksum after a 16-bit word changed from `before` to `after` (RFC 1624, equation 3). */
export function checksumUpdate(checksum: number, before: number, after: number): number {
  return checksumFinish((~checksum & 0xffff) + (~before & 0xffff) + after);
}
