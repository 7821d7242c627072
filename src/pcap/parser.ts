import type { BatchBuffer } from './batch.ts';
import type { ByteWindow } from './window.ts';

/** What a {@link Parser} returns when the capture cannot be read any further; it has recorded why. */
export const ended = -1;

/** The second that times count from: undefined until it was chosen or the first time was read. */
export interface TimeBase {
  seconds: number | undefined;
}

/** Finds packets in the bytes of one capture format. */
export interface Parser {
  /**
   * Consumes whole records from the window and puts their packets into the batch, from its beginning.
   * @returns how many bytes have to be available before the next record can be read; 0 when the batch is full;
   * {@link ended} when no more can be read.
   */
  parse(window: ByteWindow, batch: BatchBuffer): number;
}
