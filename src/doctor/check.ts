/**
 * `ok`; `warning`: it runs, but not as well as it could; `failed`: the xdp datapath cannot run like this; `unknown`: it
 * could not be looked at.
 */
export type CheckState = 'ok' | 'warning' | 'failed' | 'unknown';

/** What one check found out. Texts are plain and in one line each. */
export interface Check {
  /** Stable: programs look for it. */
  readonly name: string;
  readonly state: CheckState;
  /** What is there. */
  readonly found: string;
  /** What it is needed for and, where the state is not `ok`, what to do. */
  readonly why: string;
  /** A command for a shell that puts it right or shows more. */
  readonly fix?: string;
  /** Only the right to do it is missing. */
  readonly privilege?: true;
}

/** The checks of one thing, such as `interface eth0`. */
export interface Section {
  readonly subject: string;
  readonly checks: readonly Check[];
}
