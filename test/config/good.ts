import { expect } from 'vitest';
import { checkConfigText } from '../../src/config/load.ts';
import { problemLines } from '../../src/config/problems.ts';

/** A configuration against which nothing can be said. */
export const good = `interface: eth0
vips:
  - address: 10.0.0.1:80/tcp
    pool: web
pools:
  web:
    backends:
      - { address: 10.0.0.11 }
      - { address: 10.0.0.12 }
`;

/** The good file with one text in place of another. */
export const but = (text: string, other: string): string => {
  expect(good).toContain(text);
  return good.replace(text, other);
};
/** The good file with a key more. */
export const and = (text: string): string => `${good}${text}\n`;
/** The good file with more keys for its first backend. */
export const backend = (rest: string): string => but('10.0.0.11 }', `10.0.0.11${rest} }`);

/** What is said about a configuration, a line each. */
export const lines = (text: string): string[] => problemLines(checkConfigText(text, 'lb.yaml').problems);
