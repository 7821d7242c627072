import { constants } from 'node:os';

/** What a shell takes for the exit status of a process that a signal ended. */
export const exitCodeOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];

/**
 * Has a listener called for the first of each of these signals, which does not end the process then, until the returned
 * function is called. A second one ends it as ever.
 */
export function onSignals(
  signals: readonly NodeJS.Signals[],
  listener: (signal: NodeJS.Signals) => void,
): () => void {
  for (const signal of signals) process.once(signal, listener);
  return () => {
    for (const signal of signals) process.off(signal, listener);
  };
}
