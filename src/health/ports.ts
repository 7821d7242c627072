/** Ports that checks come from: above those that Linux gives to sockets (ip_local_port_range), so that none has them. */
export const portFirst = 61_000;
export const portCount = 4_096;
export const portLast = portFirst + portCount - 1;

/**
 * Ports looked at for one check. A backend sees a port again after at least `portCount / portTriesMax` checks: with the shortest
 * interval and the largest jitter, one each 50 ms, that is more than the 60 s for which it may remember a connection
 * (TIME-WAIT of Linux).
 */
export const portTriesMax = 3;

/** Which check has which port; one port is never of two checks at a time, so that an answer is of one check. */
export class CheckPorts<Owner> {
  readonly #owners: (Owner | undefined)[] = new Array(portCount).fill(undefined);

  /** Ports of checks that are under way. */
  held = 0;

  /**
   * Gives the next free port of a backend's own way around the range.
   * @param from where that way stands, 0 to `portCount - 1`
   * @returns where it stands then, the port being the one before; undefined when the next ports are all taken
   */
  claim(from: number, owner: Owner): { port: number; next: number } | undefined {
    for (let i = 0; i < portTriesMax; i++) {
      const at = (from + i) % portCount;
      if (this.#owners[at] !== undefined) continue;
      this.#owners[at] = owner;
      this.held++;
      return { port: portFirst + at, next: (at + 1) % portCount };
    }
    return undefined;
  }

  /** Whose a port is; undefined for nobody's and for one out of the range. */
  ownerOf(port: number): Owner | undefined {
    return this.#owners[port - portFirst];
  }

  release(port: number): void {
    if (this.#owners[port - portFirst] === undefined) return;
    this.#owners[port - portFirst] = undefined;
    this.held--;
  }
}
