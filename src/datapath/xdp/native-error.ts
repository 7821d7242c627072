import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { type ErrorCode, InbandError } from '../../errors.ts';
import { isNativeError, type NativeError } from './addon.ts';

/** Lines of the verifier's log that go into a hint: its last words say which instruction and why. */
const verifierLinesMax = 12;
/** ENOTSUPP is internal to the kernel and leaks out of bpf(2); no C library names it. */
const enotsupp = 524;
/** Numbers from here on are libbpf's own. */
const libbpfErrors = 4000;

/** The symbolic name of a positive error number, such as `EPERM`. */
export function errnoName(errno: number): string {
  if (errno === enotsupp) return 'ENOTSUPP';
  // Node has the name of POSIX, ENOTSUP, for what everybody calls by this one.
  if (errno === constants.errno.EOPNOTSUPP) return 'EOPNOTSUPP';
  return errno >= libbpfErrors ? `libbpf error ${errno}` : getSystemErrorName(-errno);
}

/** Why pins cannot be read or made, and what to do about it. */
export const pinsHint =
  'pins belong to the user that made them: run as that one, or give them away, chown -R USER DIRECTORY; ' +
  'names in a bpf file system have no dots';

/** What happened, for each error whose cause can be told apart at this step, else undefined. */
function explain(step: string, code: string): [ErrorCode, string, string] | undefined {
  const attaching = step === 'bpf_link_create';
  switch (code) {
    case 'EPERM':
      if (step === 'bpf_link_update')
        return ['HOOK_TAKEN', 'another program is in its place', 'end the process that put it there'];
      return [
        'PERMISSION',
        'not permitted',
        'run as root, or give node CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON',
      ];
    case 'EACCES':
      if (step !== 'bpf_obj_get' && step !== 'bpf_obj_pin') return undefined;
      return ['PERMISSION', 'not permitted', pinsHint];
    case 'EEXIST':
    case 'EBUSY':
      if (!attaching) return undefined;
      return [
        'HOOK_TAKEN',
        'another XDP program holds the interface',
        'see who: bpftool net show; free it: ip link set dev IF xdp off',
      ];
    case 'EOPNOTSUPP':
    case 'ENOTSUPP':
      if (!attaching) return undefined;
      return ['XDP_UNSUPPORTED', 'the driver has no native XDP', 'attach in generic mode instead'];
    case 'ERANGE':
      if (!attaching) return undefined;
      return [
        'XDP_UNSUPPORTED',
        'the MTU is too large for XDP',
        'lower it: ip link set dev IF mtu 1500 (on a veth, that of its peer)',
      ];
    case 'ENODEV':
      return ['ENVIRONMENT', 'no such interface', 'list them: ip link'];
    default:
      return undefined;
  }
}

/** The end of the verifier's log when that is why loading failed, without libbpf's frame around it. */
function verifierTail({ log }: NativeError): string[] {
  const end = log.indexOf('-- END PROG LOAD LOG --');
  if (end < 0) return [];
  const lines = log
    .slice(log.lastIndexOf('-- BEGIN PROG LOAD LOG --', end) + 1, end)
    .split('\n')
    .slice(0, -1);
  return lines
    .filter((line) => line.trim() !== '' && !line.startsWith('processed '))
    .slice(-verifierLinesMax);
}

/** The same failure as an error for users; `what` names the object, program or interface that it is about. */
export function nativeFailure(error: NativeError, what: string): InbandError {
  const code = errnoName(error.errno);
  const prefix = `${what}: ${error.step} failed (${code})`;
  const rejected = verifierTail(error);
  if (rejected.length > 0) {
    const hint = `the verifier of this kernel said:\n${rejected.join('\n')}`;
    return new InbandError('BPF_FAILED', `${prefix}: ${rejected.at(-1)}`, { hint, cause: error });
  }
  const known = explain(error.step, code);
  if (known) return new InbandError(known[0], `${prefix}: ${known[1]}`, { hint: known[2], cause: error });
  const last = error.log.trimEnd().split('\n').at(-1)!;
  return new InbandError('BPF_FAILED', last === '' ? prefix : `${prefix}: ${last.replace(/^libbpf: /, '')}`, {
    cause: error,
  });
}

/**
 * Runs native calls about `what`.
 * @throws InbandError in place of what the addon throws.
 */
export function native<Result>(what: string, call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    throw isNativeError(error) ? nativeFailure(error, what) : error;
  }
}
