/** Writes 16 bits in network byte order. */
export function put16(data: Uint8Array, at: number, value: number): void {
  data[at] = value >> 8;
  data[at + 1] = value;
}

/** Writes 32 bits in network byte order, signed or not. */
export function put32(data: Uint8Array, at: number, value: number): void {
  put16(data, at, value >>> 16);
  put16(data, at + 2, value);
}
