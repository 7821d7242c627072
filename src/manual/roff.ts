/** Writes pages in the macros of man(7), which groff and mandoc both read. */

/** Text in which nothing means anything to roff: no backslash, no control line, and hyphens that can be copied. */
export function plain(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll('`', '\\(ga')
    .replaceAll(/^(?=\.)/gm, '\\&')
    .replaceAll(
      /[^\x20-\x7e\n]/g,
      (letter) => `\\[u${letter.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}

export const bold = (text: string): string => `\\fB${plain(text)}\\fR`;
export const italic = (text: string): string => `\\fI${plain(text)}\\fR`;

/** Text with `code` in backticks, which becomes bold. */
export function prose(text: string): string {
  return text
    .trim()
    .replaceAll(/\s+/g, ' ')
    .split('`')
    .map((part, i) => (i % 2 === 0 ? plain(part) : bold(part)))
    .join('')
    .replace(/^(?=[.'])/, '\\&');
}

/** An argument of a macro, with the quotes that it needs. */
const quoted = (text: string): string => `"${text.replaceAll('"', '\\(dq')}"`;

export const title = (name: string, section: number): string =>
  `.TH ${quoted(plain(name.toUpperCase()))} ${section} "" "inband" "inband manual"`;
export const heading = (text: string): string => `.SH ${quoted(plain(text.toUpperCase()))}`;
export const subheading = (text: string): string => `.SS ${quoted(plain(text))}`;
export const paragraph = (text: string): string => `.PP\n${prose(text)}`;

/** A term, already in roff, and what it means. */
export const tagged = (term: string, text: string): string => `.TP\n${term}\n${prose(text)}`;

/** Lines as they are. */
export function literal(text: string): string {
  return ['.PP', '.RS 4', '.nf', plain(text.replace(/\n$/, '')), '.fi', '.RE'].join('\n');
}

/** References to other pages, such as `inband(8)`. */
export function seeAlso(pages: readonly string[]): string {
  const references = pages.map((page) => {
    const [, name, section] = /^(.+)\((\d)\)$/.exec(page)!;
    return `\\fB${plain(name!)}\\fR(${section})`;
  });
  return [heading('See also'), references.join(',\n')].join('\n');
}

/** A page of these parts; a heading begins a paragraph by itself. */
export function page(...parts: readonly string[]): string {
  const text = parts.filter((part) => part !== '').join('\n');
  return `${text.replaceAll(/^(\.S[HS] .*\n)\.PP\n/gm, '$1')}\n`;
}
