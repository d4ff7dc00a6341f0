/** A word, literal or sign of SQLite's SQL, as its manual's tokenizer splits them. */
export interface Token {
  readonly kind: "word" | "quoted" | "string" | "blob" | "number" | "sign" | "variable";
  /** Unquoted text: the name itself, the string itself. */
  readonly text: string;
  /** Offsets in the statement, so that a fragment can be cut out verbatim. */
  readonly start: number;
  readonly end: number;
}

const SPACE = /(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?(?:\*\/|$))+/y;
const RULES: readonly (readonly [Token["kind"], RegExp, (match: string) => string])[] = [
  ["blob", /[xX]'[0-9a-fA-F]*'/y, (match) => match.slice(2, -1)],
  ["string", /'(?:[^']|'')*'/y, (match) => unquote(match, "'")],
  ["quoted", /"(?:[^"]|"")*"/y, (match) => unquote(match, '"')],
  ["quoted", /`(?:[^`]|``)*`/y, (match) => unquote(match, "`")],
  ["quoted", /\[[^\]]*\]/y, (match) => match.slice(1, -1)],
  [
    "number",
    /0[xX][0-9a-fA-F]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?/y,
    (match) => match.replaceAll("_", ""),
  ],
  ["word", /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y, (match) => match],
  ["variable", /[?:@$#][\w$:]*/y, (match) => match],
  ["sign", /->>|->|\|\||<<|>>|<=|>=|<>|!=|==|[-+*/%&|<>=~(),.;]/y, (match) => match],
];

/**
 * Splits a statement that SQLite itself has accepted into its tokens; comments and blanks fall away.
 * @throws Error where no token begins, which SQLite's own schema never holds
 */
export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < sql.length) {
    SPACE.lastIndex = at;
    const blank = SPACE.exec(sql);
    if (blank) {
      at += blank[0].length;
      continue;
    }
    const token = tokenAt(sql, at);
    tokens.push(token);
    at = token.end;
  }
  return tokens;
}

function tokenAt(sql: string, at: number): Token {
  for (const [kind, rule, text] of RULES) {
    rule.lastIndex = at;
    const match = rule.exec(sql);
    if (match) return { kind, text: text(match[0]), start: at, end: at + match[0].length };
  }
  throw new Error(`no SQL token begins at ${JSON.stringify(sql.slice(at, at + 20))}`);
}

function unquote(match: string, sign: string): string {
  return match.slice(1, -1).replaceAll(sign + sign, sign);
}

/** Whether a token is this keyword (never a quoted name). */
export function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === "word" && token.text.toUpperCase() === word;
}

export function isSign(token: Token | undefined, sign: string): boolean {
  return token?.kind === "sign" && token.text === sign;
}

/** The index of the `)` that closes the `(` at `open`. */
export function closingOf(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let index = open; index < tokens.length; index++) {
    if (isSign(tokens[index], "(")) depth++;
    if (isSign(tokens[index], ")") && --depth === 0) return index;
  }
  return tokens.length;
}

/** Splits at the commas that lie in no parenthesis. */
export function splitAtCommas(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (isSign(token, "(")) depth++;
    if (isSign(token, ")")) depth--;
    if (depth === 0 && isSign(token, ",")) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}
