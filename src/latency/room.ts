/** Arrays of numbers that state by backend is kept in. */
type Numbers = Uint8Array | Int8Array | Uint16Array | Int32Array | Uint32Array | Float64Array;

/**
 * An array that has `count` elements at least: this one, or a copy of it that is at least twice as long, its new elements 0.
 */
export function roomFor<T extends Numbers>(array: T, count: number): T {
  if (array.length >= count) return array;
  const longer = new (array.constructor as new (length: number) => T)(Math.max(count, 2 * array.length));
  longer.set(array);
  return longer;
}
