import type { Policy } from './policy.ts';

/** No feedback: every backend keeps the share that its weight gives it. What other policies are compared with. */
export class Static implements Policy {
  readonly name = 'static';
  readonly trigger = 'tick';

  decide(): boolean {
    return false;
  }
}
