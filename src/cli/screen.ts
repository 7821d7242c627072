/** Control sequences of ECMA-48 and xterm. */
const sequences = {
  /** The other screen, without a cursor, lines cut at the edge. */
  enter: '\u001b[?1049h\u001b[?25l\u001b[?7l',
  leave: '\u001b[?7h\u001b[?25h\u001b[?1049l',
  /** What is between is shown at once, by terminals that know this. */
  begin: '\u001b[?2026h\u001b[H',
  end: '\u001b[J\u001b[?2026l',
  clearLine: '\u001b[K',
} as const;

const keyNames: Readonly<Record<string, string>> = {
  '\u001b[A': 'up',
  '\u001b[B': 'down',
  '\u001bOA': 'up',
  '\u001bOB': 'down',
  '\u001b[5~': 'page-up',
  '\u001b[6~': 'page-down',
  '\u0003': 'ctrl-c',
  '\u001a': 'ctrl-z',
  '\u000c': 'ctrl-l',
};

const escapeCode = '\u001b';
const keyPattern = new RegExp(`${escapeCode}(?:\\[[\\d;]*[@-~]|O[@-~])|.`, 'gsu');

/** Keys of what a terminal sent: characters, and names of others. Unknown sequences are left out. */
export function keysOf(text: string): string[] {
  const parts = text.match(keyPattern) ?? [];
  return parts.flatMap((part) => keyNames[part] ?? (part.startsWith(escapeCode) ? [] : [part]));
}

/** The parts of a terminal's streams used here. */
export type ScreenInput = Pick<
  NodeJS.ReadStream,
  'setRawMode' | 'on' | 'off' | 'resume' | 'pause' | 'setEncoding'
>;
export type ScreenOutput = Pick<NodeJS.WriteStream, 'write' | 'on' | 'off' | 'columns' | 'rows'>;

/** The whole terminal, which is as it was before after `leave`, and when the process exits in any way but being killed. */
export class Screen {
  readonly #input: ScreenInput;
  readonly #output: ScreenOutput;
  readonly #onKey: (key: string) => void;
  readonly #onResize: () => void;
  readonly #take = (text: string) => {
    for (const key of keysOf(text)) this.#onKey(key);
  };
  readonly #exit = () => this.leave();
  #isEntered = false;

  constructor(
    input: ScreenInput,
    output: ScreenOutput,
    on: { readonly key: (key: string) => void; readonly resize: () => void },
  ) {
    this.#input = input;
    this.#output = output;
    this.#onKey = on.key;
    this.#onResize = on.resize;
  }

  /** Columns and lines; what a terminal that does not say is taken for. */
  get size(): { readonly width: number; readonly height: number } {
    return { width: this.#output.columns || 80, height: this.#output.rows || 24 };
  }

  enter(): void {
    if (this.#isEntered) return;
    this.#isEntered = true;
    process.on('exit', this.#exit);
    this.#output.write(sequences.enter);
    this.#output.on('resize', this.#onResize);
    this.#input.setEncoding('utf8');
    this.#input.setRawMode(true);
    this.#input.on('data', this.#take);
    this.#input.resume();
  }

  /** Shows these lines, and nothing else. */
  draw(lines: readonly string[]): void {
    if (!this.#isEntered) return;
    const text = lines.map((line) => line + sequences.clearLine).join('\r\n');
    this.#output.write(sequences.begin + text + sequences.end);
  }

  leave(): void {
    if (!this.#isEntered) return;
    this.#isEntered = false;
    process.off('exit', this.#exit);
    this.#output.off('resize', this.#onResize);
    this.#input.off('data', this.#take);
    this.#input.setRawMode(false);
    this.#input.pause();
    this.#output.write(sequences.leave);
  }
}
