import { isSign, isWord, type Token, tokensOf } from "../sqlite/tokens.ts";
import { type Expression, Untranslatable } from "./expression.ts";

/** Reads an expression of a schema. @throws Untranslatable for forms outside {@link Expression} */
export function parseExpression(sql: string): Expression {
  const parser = new ExpressionParser(tokensOf(sql));
  const expression = parser.expression();
  parser.assertEnd();
  return expression;
}

type Level = readonly string[];

/** Those binary operators that have a translation, by binding strength, weakest first, as the SQLite manual lists them. */
const LEVELS: readonly Level[] = [["<", "<=", ">", ">="], ["+", "-"], ["*", "/", "%"], ["||"]];

/** A recursive descent over SQLite's operator table. Also read by the parser of views, hence the open cursor. */
export class ExpressionParser {
  readonly tokens: readonly Token[];
  at = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  expression(): Expression {
    let left = this.#and();
    while (this.word("OR")) left = binary("OR", left, this.#and());
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.word("AND")) left = binary("AND", left, this.#not());
    return left;
  }

  #not(): Expression {
    if (this.word("NOT")) return { kind: "unary", operator: "NOT", operand: this.#not() };
    return this.#equality();
  }

  #equality(): Expression {
    let left = this.#level(0);
    for (;;) {
      const next = this.#test(left);
      if (!next) return left;
      left = next;
    }
  }

  #test(operand: Expression): Expression | null {
    for (const sign of ["=", "==", "<>", "!="])
      if (this.sign(sign)) {
        const operator = sign === "==" ? "=" : sign === "!=" ? "<>" : sign;
        return binary(operator, operand, this.#level(0));
      }
    if (this.word("ISNULL")) return { kind: "is-null", operand, negated: false };
    if (this.word("NOTNULL")) return { kind: "is-null", operand, negated: true };
    if (this.word("IS")) return this.#is(operand);
    const negated = isWord(this.peek(), "NOT");
    if (negated) this.at++;
    if (negated && this.word("NULL")) return { kind: "is-null", operand, negated };
    if (this.word("IN")) return { kind: "in", operand, list: this.#list(), negated };
    if (this.word("BETWEEN")) {
      const low = this.#level(0);
      this.expectWord("AND");
      return { kind: "between", operand, low, high: this.#level(0), negated };
    }
    for (const operator of ["LIKE", "GLOB"] as const)
      if (this.word(operator))
        return { kind: "pattern", operator, operand, pattern: this.#level(0), negated };
    if (negated) throw this.unknown();
    return null;
  }

  #is(left: Expression): Expression {
    const negated = this.word("NOT");
    if (this.word("DISTINCT")) {
      this.expectWord("FROM");
      return binary(negated ? "IS" : "IS NOT", left, this.#level(0));
    }
    if (this.word("NULL")) return { kind: "is-null", operand: left, negated };
    return binary(negated ? "IS NOT" : "IS", left, this.#level(0));
  }

  #level(level: number): Expression {
    const operators = LEVELS[level];
    if (!operators) return this.#collated();
    let left = this.#level(level + 1);
    for (;;) {
      const operator = operators.find((sign) => this.sign(sign));
      if (!operator) return left;
      left = binary(operator, left, this.#level(level + 1));
    }
  }

  #collated(): Expression {
    let operand = this.#unary();
    while (this.word("COLLATE"))
      operand = { kind: "collate", operand, collation: this.next().text.toUpperCase() };
    return operand;
  }

  #unary(): Expression {
    for (const operator of ["-", "+", "~"] as const)
      if (this.sign(operator)) return { kind: "unary", operator, operand: this.#unary() };
    return this.#primary();
  }

  #primary(): Expression {
    const token = this.next();
    if (token.kind === "number") return numberLiteral(token.text);
    if (token.kind === "string") return { kind: "literal", type: "text", value: token.text };
    if (token.kind === "blob") return { kind: "literal", type: "blob", value: token.text };
    if (isSign(token, "(")) {
      const inner = this.expression();
      this.expectSign(")");
      return inner;
    }
    if (token.kind === "word") return this.#word(token);
    if (token.kind === "quoted") return this.#name(token);
    throw this.unknown();
  }

  #word(token: Token): Expression {
    const word = token.text.toUpperCase();
    if (isSign(this.peek(), "(") && word !== "CAST") return this.#call(token.text);
    if (word === "NULL") return { kind: "literal", type: "null", value: "NULL" };
    if (word === "TRUE" || word === "FALSE")
      return { kind: "literal", type: "boolean", value: word.toLowerCase() };
    if (word === "CASE") return this.#case();
    if (word === "CAST") return this.#cast();
    if (
      ["SELECT", "EXISTS", "RAISE", "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"].includes(
        word,
      )
    )
      throw this.unknown();
    return this.#name(token);
  }

  #name(token: Token): Expression {
    const quoted = token.kind === "quoted";
    if (!this.sign(".")) return { kind: "column", qualifier: null, name: token.text, quoted };
    return { kind: "column", qualifier: token.text, name: this.next().text, quoted: false };
  }

  #call(name: string): Expression {
    this.expectSign("(");
    const star = this.sign("*");
    const distinct = this.word("DISTINCT");
    const list = star || isSign(this.peek(), ")") ? [] : this.commaList();
    this.expectSign(")");
    return { kind: "call", name: name.toLowerCase(), arguments: list, star, distinct };
  }

  #cast(): Expression {
    this.expectSign("(");
    const operand = this.expression();
    this.expectWord("AS");
    const words: string[] = [];
    while (!isSign(this.peek(), ")")) words.push(this.next().text);
    this.expectSign(")");
    return { kind: "cast", operand, type: words.join(" ") };
  }

  #case(): Expression {
    const operand = isWord(this.peek(), "WHEN") ? null : this.expression();
    const branches: { when: Expression; result: Expression }[] = [];
    while (this.word("WHEN")) {
      const when = this.expression();
      this.expectWord("THEN");
      branches.push({ when, result: this.expression() });
    }
    const otherwise = this.word("ELSE") ? this.expression() : null;
    this.expectWord("END");
    return { kind: "case", operand, branches, otherwise };
  }

  #list(): Expression[] {
    this.expectSign("(");
    if (isWord(this.peek(), "SELECT")) throw this.unknown();
    const list = isSign(this.peek(), ")") ? [] : this.commaList();
    this.expectSign(")");
    return list;
  }

  commaList(): Expression[] {
    const list = [this.expression()];
    while (this.sign(",")) list.push(this.expression());
    return list;
  }

  peek(): Token | undefined {
    return this.tokens[this.at];
  }

  next(): Token {
    const token = this.tokens[this.at++];
    if (!token) throw this.unknown();
    return token;
  }

  word(word: string): boolean {
    const found = isWord(this.peek(), word);
    if (found) this.at++;
    return found;
  }

  sign(sign: string): boolean {
    const found = isSign(this.peek(), sign);
    if (found) this.at++;
    return found;
  }

  expectWord(word: string): void {
    if (!this.word(word)) throw this.unknown();
  }

  expectSign(sign: string): void {
    if (!this.sign(sign)) throw this.unknown();
  }

  assertEnd(): void {
    if (this.peek()) throw this.unknown();
  }

  unknown(): Untranslatable {
    const token = this.peek() ?? this.tokens.at(-1);
    return new Untranslatable(`${JSON.stringify(token?.text ?? "")} has no translation here`);
  }
}

function binary(operator: string, left: Expression, right: Expression): Expression {
  return { kind: "binary", operator, left, right };
}

function numberLiteral(text: string): Expression {
  if (/^0x/i.test(text))
    return { kind: "literal", type: "integer", value: BigInt.asIntN(64, BigInt(text)).toString() };
  const whole = /^\d+$/.test(text) && BigInt(text) < 2n ** 63n;
  return { kind: "literal", type: whole ? "integer" : "real", value: text };
}
