/**
 * What is due next: at most one event per number, in a 4-ary heap of typed arrays that grows by doubling. Events due at
 * the same time come in the order in which they were scheduled, so that a run never depends on the heap's shape.
 */
export class EventQueue {
  #times = new Float64Array(1024);
  #orders = new Float64Array(1024);
  #events = new Int32Array(1024);
  #size = 0;
  #scheduled = 0;

  get size(): number {
    return this.#size;
  }

  /** When the next event is due, in ns; infinite without one. */
  get nextNs(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#times[0]!;
  }

  push(timeNs: number, event: number): void {
    if (this.#size === this.#times.length) this.#grow();
    this.#up(this.#size++, timeNs, this.#scheduled++, event);
  }

  /** Number of the next event, which is taken out. Not to be called on an empty queue. */
  pop(): number {
    const event = this.#events[0]!;
    const last = --this.#size;
    if (last > 0) this.#down(this.#times[last]!, this.#orders[last]!, this.#events[last]!);
    return event;
  }

  #grow(): void {
    const larger = <T extends Float64Array | Int32Array>(made: T, from: T): T => {
      made.set(from);
      return made;
    };
    const length = this.#times.length * 2;
    this.#times = larger(new Float64Array(length), this.#times);
    this.#orders = larger(new Float64Array(length), this.#orders);
    this.#events = larger(new Int32Array(length), this.#events);
  }

  #up(from: number, timeNs: number, order: number, event: number): void {
    const times = this.#times;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 2;
      if (times[parent]! <= timeNs) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, timeNs, order, event);
  }

  /** Puts an event where the first one was. */
  #down(timeNs: number, order: number, event: number): void {
    const times = this.#times;
    const orders = this.#orders;
    const size = this.#size;
    let at = 0;
    for (;;) {
      const child = 4 * at + 1;
      if (child >= size) break;
      let least = child;
      const end = Math.min(child + 4, size);
      for (let i = child + 1; i < end; i++) {
        const difference = times[i]! - times[least]!;
        if (difference < 0 || (difference === 0 && orders[i]! < orders[least]!)) least = i;
      }
      const difference = times[least]! - timeNs;
      if (difference > 0 || (difference === 0 && orders[least]! > order)) break;
      this.#move(least, at);
      at = least;
    }
    this.#put(at, timeNs, order, event);
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from]!;
    this.#orders[to] = this.#orders[from]!;
    this.#events[to] = this.#events[from]!;
  }

  #put(at: number, timeNs: number, order: number, event: number): void {
    this.#times[at] = timeNs;
    this.#orders[at] = order;
    this.#events[at] = event;
  }
}
