import type { MaglevBackend } from '../../src/maglev/population.ts';
import type { SlotTable } from '../../src/maglev/shares.ts';

/** Backends of weight 1 with addresses as names. */
export function equalBackends(count: number): MaglevBackend[] {
  return Array.from({ length: count }, (_, i) => ({ name: `10.0.${i >> 8}.${i & 255}:80`, weight: 1 }));
}

/** Slots that each backend holds. */
export function countSlots(table: SlotTable, backends: number): number[] {
  const counts = new Array<number>(backends).fill(0);
  for (const owner of table) counts[owner]! += 1;
  return counts;
}

/** A table with names for indices, to compare across orders of configuration. */
export function namesBySlot(backends: readonly MaglevBackend[], table: SlotTable): string[] {
  return Array.from(table, (owner) => backends[owner]!.name);
}
