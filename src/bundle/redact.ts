/** Keys whose values are nobody else's business, whatever they hold. */
const secretKey = /pass(word|phrase)?$|secret|token|credential|authorization|cookie|private|api_?key/i;

export const leftOut = '(left out)';

/**
 * A configuration as it may be passed on: values of keys that sound like secrets are left out, and so is what a path of
 * a health check has behind `?`, and what is sent to a backend, as both may hold one.
 */
export function redact(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => redact(one, key));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, redact(one, name)]));
  }
  if (value === null || value === undefined) return value;
  if (secretKey.test(key) || key === 'send') return leftOut;
  if (key === 'path' && typeof value === 'string') return value.replace(/\?.*$/s, `?${leftOut}`);
  return value;
}
