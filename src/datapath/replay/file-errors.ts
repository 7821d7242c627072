import { InbandError } from '../../errors.ts';

/** `FILE_UNREADABLE` for a file that belongs to a replay; `hint` where there is more to say than to check the path. */
export function unreadable(path: string, cause: unknown, hint?: string): InbandError {
  return new InbandError('FILE_UNREADABLE', `${path}: cannot be read (${why(cause)})`, {
    hint: hint ?? 'check the path and its permissions',
    cause,
  });
}

/** `FILE_UNWRITABLE` for a file that a replay writes. */
export function unwritable(path: string, cause: unknown): InbandError {
  return new InbandError('FILE_UNWRITABLE', `${path}: cannot be written (${why(cause)})`, {
    hint: 'check the directory, its permissions and the space left',
    cause,
  });
}

/** The name of a system error, whose message would only repeat the path; what others say, such as zlib's. */
function why(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { code } = cause as NodeJS.ErrnoException;
  return code?.startsWith('E') ? code : cause.message;
}
