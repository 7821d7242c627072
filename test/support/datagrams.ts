import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

/** Prints the datagrams that come to a Unix socket, one a line as JSON, until a message STOPPING. */
const program = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', '\\0', 1) if sys.argv[1][0] == '@' else sys.argv[1])
print('"listening"', flush=True)
while True:
    text = s.recv(4096).decode()
    print(json.dumps(text), flush=True)
    if 'STOPPING' in text: break
`;

/** Why nothing can receive datagrams here, which Node cannot; undefined when something can. */
export const receiverUnavailable = (): string | undefined =>
  spawnSync('python3', ['--version']).status === 0 ? undefined : 'python3 is not there to receive datagrams';

/** What listens at a Unix socket, as a service manager does. */
export class Receiver {
  /** Messages so far, in order. */
  readonly messages: string[] = [];
  readonly #child: ChildProcess;
  #rest = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = `${this.#rest}${text}`.split('\n');
      this.#rest = lines.pop()!;
      this.messages.push(...lines.map((line) => JSON.parse(line) as string));
    });
  }

  /** Listens at a path, or at an abstract name that begins with `@`. */
  static async listen(name: string): Promise<Receiver> {
    const child = spawn('python3', ['-c', program, name], { stdio: ['ignore', 'pipe', 'inherit'] });
    const receiver = new Receiver(child);
    while (receiver.messages.shift() !== 'listening') await once(child.stdout!, 'data');
    return receiver;
  }

  /** Resolves when a message said that the sender stops. */
  async ended(): Promise<void> {
    if (this.#child.exitCode === null) await once(this.#child, 'close');
  }

  close(): void {
    this.#child.kill();
  }
}
