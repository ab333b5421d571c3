/**
 * From the text of a filter to its expression, or to the first fault and its place. The grammar is that of RocketMQ's SQL92
 * filters, except that NOT binds as in SQL, looser than a comparison, and that the text must be an expression to its end.
 * Depth is bounded (`filterDepthMax`), so that neither this nor the evaluator can run out of stack.
 *
 *     or         := and (OR and)*
 *     and        := not (AND not)*
 *     not        := NOT not | equality
 *     equality   := comparison (= comparison | <> comparison | IS [NOT] NULL)*
 *     comparison := unary ((> | >= | < | <=) unary | [NOT] (CONTAINS | STARTSWITH | ENDSWITH) text
 *                 | [NOT] BETWEEN unary AND unary | [NOT] IN (text, …))*
 *     unary      := + unary | - unary | NOT unary | text | number | TRUE | FALSE | NULL | name | ( or )
 */
import { LIMITS } from "../../protocol/limits.ts";
import type { Expression, Order, Search } from "./expression.ts";
import { makeNeedle } from "./needle.ts";
import { compareExact, negative, type Exact } from "./numbers.ts";
import { tokensOf, type FilterFault, type Keyword, type Sign, type Token } from "./tokens.ts";

const WHOLE_MAX = 9_223_372_036_854_775_807n;
const ORDERS: readonly Order[] = [">", ">=", "<", "<="];
const SEARCHES: readonly (readonly [Keyword, Search])[] = [
  ["CONTAINS", "contains"],
  ["STARTSWITH", "startsWith"],
  ["ENDSWITH", "endsWith"],
];
const AFTER_NOT: readonly Keyword[] = ["CONTAINS", "STARTSWITH", "ENDSWITH", "BETWEEN", "IN"];

export type Parsed =
  | { readonly ok: true; readonly expression: Expression }
  | ({ readonly ok: false } & FilterFault);

export function parseFilter(text: string): Parsed {
  const tokens = tokensOf(text);
  return "message" in tokens ? { ok: false, ...tokens } : new Parser(tokens).parse();
}

/** Stands for what could not be parsed; never seen outside, since then there is a fault. */
const NOTHING: Expression = { kind: "null" };

const isConstant = ({ kind }: Expression): boolean =>
  kind === "number" || kind === "text" || kind === "truth" || kind === "null";

/** Can only be true, false or unknown. */
function isTruth({ kind }: Expression): boolean {
  return kind !== "number" && kind !== "text" && kind !== "property" && kind !== "negative";
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #end: Token;
  #next = 0;
  #depth = 0;
  #fault: FilterFault | undefined;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.#end = tokens.at(-1) ?? { kind: "end", at: 0, end: 0 };
  }

  parse(): Parsed {
    const expression = this.#asTruth(this.#token.at, this.#or());
    if (this.#token.kind !== "end") this.#unexpected("the end, or AND or OR");
    return this.#fault === undefined ? { ok: true, expression } : { ok: false, ...this.#fault };
  }

  // ------------------------------------------------------------ tokens and faults

  get #token(): Token {
    return this.#tokens[this.#next] ?? this.#end;
  }

  /** The first fault stays, and ends the text: what follows is read as its end, so that every loop stops. */
  #fail(position: number, message: string): Expression {
    this.#fault ??= { position, message };
    this.#next = this.#tokens.length;
    return NOTHING;
  }

  #unexpected(wanted: string): Expression {
    const { at, kind } = this.#token;
    return this.#fail(
      at,
      kind === "end" ? `it ends where ${wanted} belongs` : `expected ${wanted}`,
    );
  }

  #isSign(sign: Sign): boolean {
    return this.#token.kind === "sign" && this.#token.sign === sign;
  }

  #isKeyword(word: Keyword, ahead = 0): boolean {
    const token = this.#tokens[this.#next + ahead];
    return token?.kind === "keyword" && token.word === word;
  }

  #takeSign(sign: Sign): boolean {
    const is = this.#isSign(sign);
    if (is) this.#next++;
    return is;
  }

  #takeKeyword(word: Keyword): boolean {
    const is = this.#isKeyword(word);
    if (is) this.#next++;
    return is;
  }

  #wantSign(sign: Sign): void {
    if (!this.#takeSign(sign)) this.#unexpected(sign);
  }

  #wantText(): string {
    const token = this.#token;
    if (token.kind === "text") this.#next++;
    else this.#unexpected("a text in single quotes");
    return token.kind === "text" ? token.value : "";
  }

  /** One level deeper until the caller puts the depth back. */
  #deepen(position: number): void {
    this.#depth++;
    if (this.#depth > LIMITS.filterDepthMax)
      this.#fail(position, `nested more than ${LIMITS.filterDepthMax} deep`);
  }

  #nested(position: number, parse: () => Expression): Expression {
    const depth = this.#depth;
    this.#deepen(position);
    const expression = this.#fault === undefined ? parse() : NOTHING;
    this.#depth = depth;
    return expression;
  }

  // ------------------------------------------------------------ the grammar

  #or(): Expression {
    return this.#joined("OR", "or", () => this.#and());
  }

  #and(): Expression {
    return this.#joined("AND", "and", () => this.#not());
  }

  #joined(word: Keyword, kind: "and" | "or", part: () => Expression): Expression {
    const start = this.#token.at;
    const first = part();
    if (!this.#isKeyword(word)) return first;
    const of = [this.#asTruth(start, first)];
    while (this.#takeKeyword(word)) of.push(this.#asTruth(this.#token.at, part()));
    return { kind, of };
  }

  #not(): Expression {
    return this.#isKeyword("NOT") ? this.#notOf(() => this.#not()) : this.#equality();
  }

  #notOf(operand: () => Expression): Expression {
    const { at } = this.#token;
    this.#next++;
    const start = this.#token.at;
    return { kind: "not", of: this.#asTruth(start, this.#nested(at, operand)) };
  }

  #equality(): Expression {
    const depth = this.#depth;
    const start = this.#token.at;
    let left = this.#comparison();
    for (;;) {
      const { at } = this.#token;
      const negated = this.#isSign("<>");
      if (this.#takeSign("=") || this.#takeSign("<>")) {
        const from = this.#token.at;
        const right = this.#comparison();
        this.#checkEqual(start, left, from, right);
        left = { kind: "equal", left, right, negated };
      } else if (this.#takeKeyword("IS")) {
        const isNot = this.#takeKeyword("NOT");
        if (!this.#takeKeyword("NULL")) this.#unexpected(isNot ? "NULL" : "NULL or NOT NULL");
        left = { kind: "isNull", of: left, negated: isNot };
      } else break;
      this.#deepen(at);
    }
    this.#depth = depth;
    return left;
  }

  #comparison(): Expression {
    const depth = this.#depth;
    const start = this.#token.at;
    let left = this.#unary();
    for (;;) {
      const { at } = this.#token;
      const compared = this.#compared(start, left);
      if (compared === undefined) break;
      left = compared;
      this.#deepen(at);
    }
    this.#depth = depth;
    return left;
  }

  /** What the next operator makes of the operand before it; undefined when none follows. */
  #compared(start: number, left: Expression): Expression | undefined {
    const operator = ORDERS.find((each) => this.#takeSign(each));
    if (operator !== undefined)
      return { kind: "order", operator, left: this.#ordered(start, left), right: this.#bound() };
    const negated = this.#isKeyword("NOT") && AFTER_NOT.some((word) => this.#isKeyword(word, 1));
    if (negated) this.#next++;
    const search = SEARCHES.find(([word]) => this.#takeKeyword(word));
    if (search !== undefined) {
      const needle = makeNeedle(this.#wantText());
      return { kind: "search", how: search[1], of: left, needle, negated };
    }
    if (this.#takeKeyword("BETWEEN")) return this.#between(start, left, negated);
    if (!this.#takeKeyword("IN")) return undefined;
    if (left.kind !== "property") this.#fail(start, "before IN stands the name of a property");
    return { kind: "in", of: left, texts: this.#texts(), negated };
  }

  #between(start: number, left: Expression, negated: boolean): Expression {
    const of = this.#ordered(start, left);
    const { at } = this.#token;
    const low = this.#bound();
    if (!this.#takeKeyword("AND")) this.#unexpected("AND");
    const high = this.#bound();
    const descend =
      low.kind === "number" && high.kind === "number" && compareExact(low.value, high.value) > 0;
    if (descend) this.#fail(at, "the bounds of BETWEEN ascend");
    return { kind: "between", of, low, high, negated };
  }

  #texts(): ReadonlySet<string> {
    const texts = new Set<string>();
    this.#wantSign("(");
    do texts.add(this.#wantText());
    while (this.#takeSign(","));
    this.#wantSign(")");
    return texts;
  }

  #unary(): Expression {
    const { at } = this.#token;
    if (this.#isKeyword("NOT")) return this.#notOf(() => this.#unary());
    if (this.#takeSign("+")) return this.#nested(at, () => this.#unary());
    if (!this.#takeSign("-")) return this.#primary();
    const token = this.#token;
    if (token.kind === "whole") {
      this.#next++;
      return this.#number(at, negative(token.value));
    }
    const of = this.#nested(at, () => this.#unary());
    if (of.kind === "number") return { kind: "number", value: negative(of.value) };
    return { kind: "negative", of };
  }

  #primary(): Expression {
    const token = this.#token;
    if (this.#takeKeyword("TRUE")) return { kind: "truth", value: true };
    if (this.#takeKeyword("FALSE")) return { kind: "truth", value: false };
    if (this.#takeKeyword("NULL")) return { kind: "null" };
    if (token.kind === "text" || token.kind === "decimal" || token.kind === "whole") {
      this.#next++;
      if (token.kind === "text") return { kind: "text", value: token.value };
      return this.#number(token.at, token.value);
    }
    if (token.kind === "name") {
      this.#next++;
      return { kind: "property", name: token.name };
    }
    if (!this.#takeSign("(")) return this.#unexpected("a property, a literal or (");
    const inner = this.#nested(token.at, () => this.#or());
    this.#wantSign(")");
    return inner;
  }

  #number(at: number, value: Exact): Expression {
    // Beyond the safe range whole numbers are bigints; decimals were judged when they were read.
    const fits = typeof value === "number" || (value >= -WHOLE_MAX - 1n && value <= WHOLE_MAX);
    return fits ? { kind: "number", value } : this.#fail(at, "a whole number has at most 64 bits");
  }

  // ------------------------------------------------------------ what may stand where

  /** Under AND, OR and NOT, and as the whole. A property may stand there, though as a text it is never true. */
  #asTruth(at: number, expression: Expression): Expression {
    if (isTruth(expression) || expression.kind === "property") return expression;
    return this.#fail(at, "this is neither true nor false; a comparison belongs here");
  }

  #bound(): Expression {
    const { at } = this.#token;
    return this.#ordered(at, this.#unary());
  }

  #ordered(at: number, expression: Expression): Expression {
    if (expression.kind !== "text" && !isTruth(expression)) return expression;
    return this.#fail(at, "only numbers and properties have an order");
  }

  #checkEqual(leftAt: number, left: Expression, rightAt: number, right: Expression): void {
    if (left.kind === "null" || right.kind === "null")
      this.#fail(left.kind === "null" ? leftAt : rightAt, "NULL equals nothing; use IS NULL");
    const differ = (left.kind === "truth") !== (right.kind === "truth");
    if (differ && isConstant(left) && isConstant(right))
      this.#fail(rightAt, "TRUE and FALSE equal no number and no text");
  }
}
