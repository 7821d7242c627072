import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import { formatPath, type Path, type Problem, problemsMax } from './problems.ts';

/** Aliases of one document: enough to share a pool, too few to blow a document up. */
const aliasesMax = 100;
/** Mappings and lists within each other. */
const depthMax = 64;

/** A YAML 1.2 document as plain values, together with where each of them stands. */
export class YamlTree {
  readonly file: string;
  /** What is no YAML, or has no plain value, or more than one; then what `report` noted; at most `problemsMax`. */
  readonly problems: Problem[] = [];
  /** Plain values, null for an empty text; undefined if they cannot be made. */
  readonly value: unknown;
  readonly #lines = new LineCounter();
  readonly #document: Document;
  readonly #text: string;
  readonly #pairsOf = new Map<YAMLMap, ReadonlyMap<string, Pair>>();
  #aliases = 0;
  /** Whether something was left out of the values. */
  #isBroken = false;

  constructor(text: string, file: string) {
    this.file = file;
    this.#text = text;
    const options = { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: false } as const;
    this.#document = parseDocument(text, options);
    for (const error of [...this.#document.errors, ...this.#document.warnings]) this.#syntax(error);
    if (this.problems.length > 0) return;
    this.#inspect(this.#document.contents, [], 0);
    if (this.#aliases > aliasesMax) this.#refuse(0, [], `more than ${aliasesMax} aliases`);
    if (!this.#isBroken) this.value = this.#document.toJS({ maxAliasCount: -1 });
  }

  /** Notes a problem at what stands at a path or, with `key`, at the name of its last step. */
  report(path: Path, message: string, options: { key?: boolean; severity?: Problem['severity'] } = {}): void {
    if (this.problems.length >= problemsMax) return;
    const { key = false, severity = 'error' } = options;
    this.#note(this.#offset(path, key), path, message, severity);
  }

  #note(offset: number, path: Path, message: string, severity: Problem['severity'] = 'error'): void {
    if (this.problems.length >= problemsMax) return;
    const { line, col } = this.#lines.linePos(offset);
    const where = { line: Math.max(1, line), column: Math.max(1, col) };
    this.problems.push({ severity, file: this.file, ...where, path: formatPath(path), message });
  }

  /** Notes what plain values cannot be made of. */
  #refuse(offset: number, path: Path, message: string): void {
    this.#isBroken = true;
    this.#note(offset, path, message);
  }

  #syntax({ code, message, pos }: YAMLError): void {
    const [offset] = pos;
    const start = this.#text.lastIndexOf('\n', offset - 1) + 1;
    const [line = ''] = this.#text.slice(start).split('\n', 1);
    const first = message.split('\n', 1)[0]!;
    this.#note(offset, [], syntaxMessage(code, `${first[0]?.toLowerCase() ?? ''}${first.slice(1)}`, line));
  }

  /** Finds what YAML allows and plain values cannot tell: two equal keys, keys that are lists, aliases to nothing. */
  #inspect(node: unknown, path: Path, depth: number): void {
    if (depth > depthMax) {
      this.#refuse(startOf(node), path, `more than ${depthMax} mappings and lists within each other`);
    } else if (isAlias(node)) {
      this.#aliases++;
      const anchor = node.resolve(this.#document);
      if (!anchor) this.#refuse(startOf(node), path, `the alias *${node.source} stands for nothing`);
      else if (contains(anchor, startOf(node))) {
        this.#refuse(startOf(node), path, `the alias *${node.source} stands for what it is in`);
      }
    } else if (isSeq(node)) {
      for (const [i, item] of node.items.entries()) this.#inspect(item, [...path, i], depth + 1);
    } else if (isMap(node)) {
      this.#inspectMap(node, path, depth);
    }
  }

  #inspectMap({ items }: YAMLMap, path: Path, depth: number): void {
    const seen = new Set<string>();
    for (const { key, value } of items) {
      if (!isScalar(key)) {
        this.#refuse(startOf(key), path, 'a key must be a word');
        continue;
      }
      const name = nameOf(key.value);
      // What reads objects with this key reads something else.
      if (name === '__proto__') this.#refuse(startOf(key), [...path, name], 'this name cannot be a key');
      if (seen.has(name)) this.#note(startOf(key), [...path, name], 'given twice');
      seen.add(name);
      this.#inspect(value, [...path, name], depth + 1);
    }
  }

  /** Pairs of a mapping by name; of two with one name the last, as that is the one that counts. */
  #pairs(map: YAMLMap): ReadonlyMap<string, Pair> {
    let pairs = this.#pairsOf.get(map);
    if (!pairs) {
      pairs = new Map(
        map.items.flatMap((pair) => (isScalar(pair.key) ? [[nameOf(pair.key.value), pair]] : [])),
      );
      this.#pairsOf.set(map, pairs);
    }
    return pairs;
  }

  /** Offset of what stands at a path; of the innermost mapping around it, where nothing does. */
  #offset(path: Path, key: boolean): number {
    let node: unknown = this.#document.contents;
    let offset = startOf(node);
    for (const [i, step] of path.entries()) {
      if (isAlias(node)) node = node.resolve(this.#document);
      const pair = isMap(node) ? this.#pairs(node).get(String(step)) : undefined;
      const next = isSeq(node) ? node.items[Number(step)] : pair?.value;
      if (pair && ((key && i === path.length - 1) || !hasText(next))) return startOf(pair.key);
      if (!hasText(next)) return offset;
      node = next;
      offset = startOf(node);
    }
    return offset;
  }
}

const nameOf = (key: unknown): string => (key === null ? '' : String(key));

/** Whether a node was written down: `key:` with nothing behind it has a value without text. */
const hasText = (node: unknown): boolean => {
  const range = (node as Node | null | undefined)?.range;
  return range != null && range[1] > range[0];
};

const startOf = (node: unknown): number => (node as Node | null)?.range?.[0] ?? 0;

const contains = (node: Node, offset: number): boolean =>
  node.range != null && node.range[0] <= offset && offset < node.range[2];

function syntaxMessage(code: string, message: string, line: string): string {
  if (/(^|[\s,[{])\[[0-9a-f:.]*:[0-9a-f:.]*\]:/i.test(line)) {
    return 'not YAML: put a text that begins with [ in quotes, as "[2001:db8::1]:443/udp"';
  }
  if (code === 'TAB_AS_INDENT') return 'not YAML: indented by a tab; use spaces';
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here; one file holds one';
  return code === 'TAG_RESOLVE_FAILED' ? `${message}; leave it out` : `not YAML: ${message}`;
}
