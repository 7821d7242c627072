import { type Progress, startProgress } from '../report/progress.ts';

/** A progress bar for the file being read, one after the other. */
export class ProgressBars {
  #name: string | undefined;
  #bar: Progress | undefined;

  update = (name: string, bytes: number, sizeBytes: number | undefined, packets: number): void => {
    if (name !== this.#name) {
      this.stop();
      this.#name = name;
      this.#bar = startProgress(name, sizeBytes);
    }
    this.#bar?.update(bytes, `${packets} packets`);
  };

  stop = (): void => {
    this.#bar?.stop();
    this.#bar = undefined;
  };
}
