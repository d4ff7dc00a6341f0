/** Control characters but tab and line feed, and marks that turn the direction of text around. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Text for a terminal, of which a part came from a repository: its labels, names and messages are
 * shown, and command nothing (colors, cursor, title, clipboard). What would is written as `\x1b`.
 */
export function printable(text: string): string {
  return text.replace(CONTROLS, escaped);
}

/** The same for what stands in one line, so that no label draws lines of its own. */
export function inOneLine(text: string): string {
  return printable(text).replace(/[\t\n]/g, escaped);
}

/** JSON for a script, or a terminal: JSON itself leaves what is beyond ASCII as it is, and so marks that command a terminal. */
export function printableJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return text.replace(/[\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, "0");
    return `\\u${code}`;
  });
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}
