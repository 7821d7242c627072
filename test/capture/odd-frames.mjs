// Sends each frame that standard input has, a line of hex each, out of an interface, by default eth0.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { Cap } = createRequire(import.meta.url)('cap');
const session = new Cap();
session.open(process.argv[2] ?? 'eth0', 'less 1', 1 << 20, Buffer.alloc(64));
for (const line of readFileSync(0, 'utf8').split('\n')) {
  const frame = Buffer.from(line, 'hex');
  session.send(frame, frame.length);
}
session.close();
