/** Slots in an entry of the map: regions begin and end with one. */
const slotsPerEntry = 4;

/** Entries that a vip's table of so many slots takes. */
export const slotEntries = (slots: number): number => Math.ceil(slots / slotsPerEntry);

/** Which parts of the map of slots are in use: first fit. */
export class SlotSpace {
  readonly #entries: number;
  /** In order, none overlapping another; in entries. */
  #regions: { readonly first: number; readonly count: number }[] = [];

  /** @param entries of the map */
  constructor(entries: number) {
    this.#entries = entries;
  }

  copy(): SlotSpace {
    const copy = new SlotSpace(this.#entries);
    copy.#regions = [...this.#regions];
    return copy;
  }

  /** Takes room for a table; its first slot, or undefined without room. */
  take(slots: number): number | undefined {
    const count = slotEntries(slots);
    let first = 0;
    let at = 0;
    for (; at < this.#regions.length && this.#regions[at]!.first - first < count; at++) {
      first = this.#regions[at]!.first + this.#regions[at]!.count;
    }
    if (first + count > this.#entries) return undefined;
    this.#regions.splice(at, 0, { first, count });
    return first * slotsPerEntry;
  }

  /** Takes the room of a table that is there already. */
  keep(firstSlot: number, slots: number): void {
    const first = firstSlot / slotsPerEntry;
    const at = this.#regions.findIndex((region) => region.first > first);
    this.#regions.splice(at < 0 ? this.#regions.length : at, 0, { first, count: slotEntries(slots) });
  }

  /** Gives back the room of the table that begins with this slot. */
  free(firstSlot: number): void {
    this.#regions = this.#regions.filter(({ first }) => first !== firstSlot / slotsPerEntry);
  }
}
