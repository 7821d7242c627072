/** Exit codes of the `inband` command, one per class of failure. */
export const exitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  config: 3,
  warnings: 4,
  environment: 5,
  permission: 6,
  alreadyRunning: 7,
  abiMismatch: 8,
} as const;

/** Every stable error code with the exit code it leads to. */
const errorCodes = {
  USAGE: exitCode.usage,
  CONFIG_INVALID: exitCode.config,
  FILE_UNREADABLE: exitCode.failure,
  FILE_UNWRITABLE: exitCode.failure,
  CAPTURE_UNSUPPORTED: exitCode.failure,
  TRUTH_INVALID: exitCode.failure,
  LIMIT: exitCode.failure,
  DAEMON_UNREACHABLE: exitCode.failure,
  NOT_DRAINED: exitCode.failure,
  ALREADY_RUNNING: exitCode.alreadyRunning,
  ENVIRONMENT: exitCode.environment,
  PERMISSION: exitCode.permission,
  NATIVE_MISSING: exitCode.environment,
  XDP_UNSUPPORTED: exitCode.environment,
  BPF_FAILED: exitCode.failure,
  HOOK_TAKEN: exitCode.alreadyRunning,
  ABI_MISMATCH: exitCode.abiMismatch,
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** Whether a text, such as one printed by another process, is a code. */
export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(errorCodes, text);

/**
 * An error that a user can act on: what happened in one line, and a hint that says what to do about it.
 * `code` is stable and documented; programs switch on it, never on the message.
 */
export class InbandError extends Error {
  override readonly name = 'InbandError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  /** Lines to read before the message, such as every mistake of a file. */
  readonly details: readonly string[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string; cause?: unknown; details?: readonly string[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? [];
  }

  /** What the process should exit with when this error ends it. */
  get exitCode(): number {
    return errorCodes[this.code];
  }
}
