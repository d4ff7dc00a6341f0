/** One setting as a line of postgresql.conf gives it; names are lower case, values unquoted. */
export interface Setting {
  readonly name: string;
  readonly value: string;
}

/**
 * `name = value`, `name value` or `name 'va''lue'`, and a comment behind (manual, 20.1.2). A quoted
 * value may follow its name at once: what the server reads as a setting must not pass us as none.
 */
const LINE =
  /^\s*([A-Za-z_][\w$.]*)(?:\s*=\s*|\s+|(?='))('(?:[^'\\]|\\.|'')*'|"[^"]*"|[^\s#'"=][^\s#'"]*)\s*(?:#.*)?$/;

/** What a line sets; undefined for a blank line, a comment, and what is no setting. */
export function parseSetting(line: string): Setting | undefined {
  const [, name, value] = LINE.exec(line) ?? [];
  if (name === undefined || value === undefined) return undefined;
  return { name: name.toLowerCase(), value: unquoted(value) };
}

/** All settings of a file, in order; a later one of the same name wins. */
export function parseSettings(text: string): Setting[] {
  return text.split("\n").flatMap((line) => parseSetting(line.replace(/\r$/, "")) ?? []);
}

/** A line that sets a value, quoted so that it is read back as it is. */
export function settingLine({ name, value }: Setting): string {
  return `${name} = '${value.replaceAll("\\", "\\\\").replaceAll("'", "''").replaceAll("\n", "\\n")}'`;
}

const ESCAPES: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** As the server's `GUC_scanstr` reads it. Double quotes are those of pg_hba.conf. */
function unquoted(value: string): string {
  if (value.startsWith('"')) return value.slice(1, -1);
  if (!value.startsWith("'")) return value;
  return value
    .slice(1, -1)
    .replace(/''|\\([0-7]{1,3}|.)/g, (whole: string, escaped: string | undefined) => {
      if (escaped === undefined) return whole === "''" ? "'" : whole;
      if (/^[0-7]/.test(escaped)) return String.fromCharCode(Number.parseInt(escaped, 8) & 0xff);
      return ESCAPES[escaped] ?? escaped;
    });
}
