import { z } from 'zod';
import {
  bytesOf,
  checkChoices,
  healthDefault as defaults,
  evidenceMax,
  type HealthSettings,
  httpTextMax,
  intervalNsMax,
  intervalNsMin,
  jitterMax,
  type PassiveSettings,
  riseFallMax,
  slowStartNsMax,
  statusRangesOf,
  timeoutNsMax,
  timeoutNsMin,
  type UdpSettings,
  udpBytesMax,
} from '../health/settings.ts';
import type { Ns } from '../units.ts';
import { address, duration, writeDuration } from './scalars.ts';

/** A key that may be left out, so that a pool inherits it; `otherwise` is what the common section then has. */
const key = <T extends z.ZodType>(schema: T, description: string, value?: unknown) =>
  schema.optional().meta({ description, ...(value !== undefined && { otherwise: value }) });

const count = (description: string, value: number, max = riseFallMax) =>
  key(z.int().min(1).max(max), description, value);

const time = (description: string, value: Ns, min: number, max: number) =>
  key(
    duration(min, max),
    `${description} ${writeDuration(min)} to ${writeDuration(max)}.`,
    writeDuration(value),
  );

const bytes = z
  .string()
  .refine((text) => bytesOf(text) !== undefined, { error: 'not pairs of hexadecimal digits after 0x' })
  .refine((text) => (bytesOf(text)?.length ?? 0) <= udpBytesMax, {
    error: `more than ${udpBytesMax} bytes`,
  });

const http = z.strictObject({
  path: key(
    z
      .string()
      .max(httpTextMax)
      .regex(/^\/[!-~]*$/, { error: 'not a path; for example /healthz' }),
    'What is asked for, from `/` on.',
    defaults.http.path,
  ),
  host: key(
    z
      .string()
      .max(httpTextMax)
      .regex(/^[!-~]+$/, { error: 'not a host; for example www.example.org' }),
    'The `Host` header; address and port of the vip unless it says.',
  ),
  status: key(
    z.string().refine((text) => statusRangesOf(text) !== undefined, {
      error: 'not codes; for example 200-399 or 200,404',
    }),
    'Codes that are well: numbers and ranges.',
    defaults.http.status,
  ),
});

const udp = z.strictObject({
  send: bytes.meta({ description: 'Content of the datagram: text, or bytes in hexadecimal after `0x`.' }),
  expect: key(bytes, 'How the answer must begin, written alike; any answer is well unless it says.'),
});

const { passive: p } = defaults;
const passive = z.strictObject({
  enabled: key(
    z.boolean(),
    "Whether what clients' packets tell takes backends out, beside checks.",
    p.enabled,
  ),
  unanswered: count(
    'SYNs that clients sent again since any handshake was completed.',
    p.unanswered,
    evidenceMax,
  ),
  retransmits: count(
    'Segments that clients sent again since anything was answered.',
    p.retransmits,
    evidenceMax,
  ),
  resets: count('Connections that clients reset since any response.', p.resets, evidenceMax),
  oldest: time('Age of the oldest request while none is answered.', p.oldestNs, 100e6, slowStartNsMax),
  ejection: time('How long a backend stays out the first time.', p.ejectionNs, 100e6, slowStartNsMax),
  ejection_max: time(
    'The same at most: each further time doubles it.',
    p.ejectionNsMax,
    100e6,
    24 * slowStartNsMax,
  ),
  max_ejected: key(
    z.number().min(0).max(1),
    "Part of the pool's backends that may be out at a time; one in any case, never the last.",
    p.ejectedMax,
  ),
});

const source = address().meta({ examples: ['10.0.0.5'] });

const keys = {
  check: key(
    z.enum(checkChoices),
    '`tcp`: a handshake, `http`: a page, `udp`: a datagram, `none`; `auto`: `tcp` of TCP vips, of others `udp` if it is described.',
    defaults.check,
  ),
  interval: time(
    'From check to check of a backend that is well.',
    defaults.intervalNs,
    intervalNsMin,
    intervalNsMax,
  ),
  jitter: key(
    z.number().min(0).max(jitterMax),
    'Part of the interval by which a check may come sooner.',
    defaults.jitter,
  ),
  timeout: time('For a whole check.', defaults.timeoutNs, timeoutNsMin, timeoutNsMax),
  rise: count('Checks passed in a row that bring a backend back up.', defaults.rise),
  fall: count('Checks failed in a row that bring it down.', defaults.fall),
  http: key(http, 'What the check `http` asks for.'),
  udp: key(udp, 'What the check `udp` sends.'),
  slow_start: time(
    'Over how long a backend that came back gets its share.',
    defaults.slowStartNs,
    1e6,
    slowStartNsMax,
  ),
  passive: key(passive, "What clients' packets alone are enough for."),
};

/** The section `health` of a pool: what it leaves out is as in the common one. */
export const poolHealthSchema = z.strictObject(keys);

/** The common section `health`. */
export const healthSchema = z.strictObject({
  ...keys,
  source: key(source, 'Address of this machine that checks come from; that of the interface unless it says.'),
});

/** A section as it was read. */
export type HealthFile = z.output<typeof poolHealthSchema>;

/** Settings of a section, those that it leaves out as in `base`. */
export function toHealth(file: HealthFile | undefined, base: HealthSettings = defaults): HealthSettings {
  if (file === undefined) return base;
  const { http: page, passive: signs } = file;
  const datagram = toUdp(file) ?? base.udp;
  return {
    check: file.check ?? base.check,
    intervalNs: file.interval ?? base.intervalNs,
    jitter: file.jitter ?? base.jitter,
    timeoutNs: file.timeout ?? base.timeoutNs,
    rise: file.rise ?? base.rise,
    fall: file.fall ?? base.fall,
    http: {
      path: page?.path ?? base.http.path,
      ...hostOf(page?.host ?? base.http.host),
      status: page?.status ?? base.http.status,
    },
    ...(datagram && { udp: datagram }),
    slowStartNs: file.slow_start ?? base.slowStartNs,
    passive: toPassive(signs, base.passive),
  };
}

const hostOf = (host: string | undefined) => (host === undefined ? {} : { host });

function toUdp({ udp: datagram }: HealthFile): UdpSettings | undefined {
  if (!datagram) return undefined;
  return { send: datagram.send, ...(datagram.expect !== undefined && { expect: datagram.expect }) };
}

function toPassive(file: HealthFile['passive'], base: PassiveSettings): PassiveSettings {
  return {
    enabled: file?.enabled ?? base.enabled,
    unanswered: file?.unanswered ?? base.unanswered,
    retransmits: file?.retransmits ?? base.retransmits,
    resets: file?.resets ?? base.resets,
    oldestNs: file?.oldest ?? base.oldestNs,
    ejectionNs: file?.ejection ?? base.ejectionNs,
    ejectionNsMax: file?.ejection_max ?? base.ejectionNsMax,
    ejectedMax: file?.max_ejected ?? base.ejectedMax,
  };
}

/** The section that gives these settings whatever is common. */
export function healthDocument(settings: HealthSettings): Record<string, unknown> {
  const { http: page, udp: datagram, passive: signs } = settings;
  return {
    check: settings.check,
    interval: writeDuration(settings.intervalNs),
    jitter: settings.jitter,
    timeout: writeDuration(settings.timeoutNs),
    rise: settings.rise,
    fall: settings.fall,
    http: { ...page },
    ...(datagram && { udp: { ...datagram } }),
    slow_start: writeDuration(settings.slowStartNs),
    passive: {
      enabled: signs.enabled,
      unanswered: signs.unanswered,
      retransmits: signs.retransmits,
      resets: signs.resets,
      oldest: writeDuration(signs.oldestNs),
      ejection: writeDuration(signs.ejectionNs),
      ejection_max: writeDuration(signs.ejectionNsMax),
      max_ejected: signs.ejectedMax,
    },
  };
}
