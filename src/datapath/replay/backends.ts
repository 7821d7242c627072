/** Backends that one replay tells apart; flows of further ones are counted under `other`. */
export const backendsMax = 4096;

/** Numbers for backends by name, in order of appearance. */
export class BackendNames {
  readonly names: string[] = [];
  readonly #numbers = new Map<string, number>();

  /** Number of the backend of this name, a new one if it was not met before. */
  number(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    if (this.names.length >= backendsMax - 1 && name !== 'other') return this.number('other');
    this.#numbers.set(name, this.names.length);
    return this.names.push(name) - 1;
  }

  get full(): boolean {
    return this.#numbers.has('other') && this.names.length === backendsMax;
  }
}
