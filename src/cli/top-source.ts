import { askText, follow } from '../admin/client.ts';
import type { Recorded } from '../admin/dashboard/frame.ts';

/**
 * What the daemon recorded, then what it records, until it ends or `signal` aborts; a frame may come twice. Errors as
 * `follow`.
 */
export async function* recorded(socket: string, signal: AbortSignal): AsyncGenerator<Recorded, void> {
  const ended = new AbortController();
  const coming = follow<Recorded>(socket, '/frames', AbortSignal.any([signal, ended.signal]));
  // Asked for before the past is, so that no frame falls between them.
  const first = coming.next();
  first.catch(() => {});
  try {
    for (const line of (await askText(socket, '/recent')).trimEnd().split('\n')) yield JSON.parse(line);
    const { value, done } = await first;
    if (done) return;
    yield value;
    yield* coming;
  } finally {
    ended.abort();
  }
}
