/**
 * From the text of a filter to its tokens, in one pass. It knows words, numbers, texts, signs and comments; what may stand
 * where is the parser's.
 */
import { exact, type Exact } from "./numbers.ts";

const KEYWORDS = [
  "NOT",
  "AND",
  "OR",
  "BETWEEN",
  "IN",
  "IS",
  "TRUE",
  "FALSE",
  "NULL",
  "CONTAINS",
  "STARTSWITH",
  "ENDSWITH",
] as const;
const SIGNS = ["<>", ">=", "<=", "=", ">", "<", "(", ")", ",", "+", "-"] as const;

export type Keyword = (typeof KEYWORDS)[number];
export type Sign = (typeof SIGNS)[number];

/** `at`: how many UTF-16 units of the text stand before it. */
export type Token = { readonly at: number; readonly end: number } & (
  | { readonly kind: "keyword"; readonly word: Keyword }
  | { readonly kind: "sign"; readonly sign: Sign }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "whole"; readonly value: Exact }
  | { readonly kind: "decimal"; readonly value: number }
  | { readonly kind: "end" }
);

/** Why a text is no filter, and where. */
export interface FilterFault {
  readonly position: number;
  readonly message: string;
}

const KEYWORD_SET: ReadonlySet<string> = new Set(KEYWORDS);
const isKeyword = (word: string): word is Keyword => KEYWORD_SET.has(word);

const isDigit = (char: string): boolean => char >= "0" && char <= "9" && char.length === 1;
const isNameStart = (char: string): boolean =>
  (char >= "a" && char <= "z") || (char >= "A" && char <= "Z") || char === "_" || char === "$";
const isBlank = (char: string): boolean =>
  char === " " || char === "\t" || char === "\n" || char === "\r" || char === "\f";

/** The tokens of a text, the last of kind `end`; or the first thing that is none. */
export function tokensOf(text: string): readonly Token[] | FilterFault {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    const next = afterBlanks(text, at);
    if (typeof next === "object") return next;
    at = next;
    const token = tokenAt(text, at);
    if ("message" in token) return token;
    tokens.push(token);
    if (token.kind === "end") return tokens;
    at = token.end;
  }
}

/** The first place from `at` on that is neither blank nor comment. */
function afterBlanks(text: string, start: number): number | FilterFault {
  let at = start;
  for (;;) {
    while (isBlank(text.charAt(at))) at++;
    if (text.startsWith("--", at)) {
      while (at < text.length && text.charAt(at) !== "\n" && text.charAt(at) !== "\r") at++;
    } else if (text.startsWith("/*", at)) {
      const end = text.indexOf("*/", at + 2);
      if (end < 0) return { position: at, message: "the comment has no end" };
      at = end + 2;
    } else return at;
  }
}

function tokenAt(text: string, at: number): Token | FilterFault {
  const char = text.charAt(at);
  if (char === "") return { kind: "end", at, end: at };
  if (isNameStart(char)) return wordAt(text, at);
  if (isDigit(char) || (char === "." && isDigit(text.charAt(at + 1)))) return numberAt(text, at);
  if (char === "'") return textAt(text, at);
  const sign = SIGNS.find((each) => text.startsWith(each, at));
  if (sign !== undefined) return { kind: "sign", sign, at, end: at + sign.length };
  const found = String.fromCodePoint(text.codePointAt(at) ?? 0);
  return { position: at, message: `${found} has no meaning here` };
}

function wordAt(text: string, at: number): Token {
  let end = at + 1;
  while (isNameStart(text.charAt(end)) || isDigit(text.charAt(end))) end++;
  const name = text.slice(at, end);
  const word = name.toUpperCase();
  return isKeyword(word) ? { kind: "keyword", word, at, end } : { kind: "name", name, at, end };
}

function afterDigits(text: string, at: number): number {
  let end = at;
  while (isDigit(text.charAt(end))) end++;
  return end;
}

function numberAt(text: string, at: number): Token | FilterFault {
  let end = afterDigits(text, at);
  const isDecimal = text.charAt(end) === ".";
  if (isDecimal) end = afterDigits(text, end + 1);
  const exponent = afterExponent(text, end);
  if (!isDecimal && exponent === end) {
    const value = exact(BigInt(text.slice(at, end)));
    const suffix = text.charAt(end) === "L" || text.charAt(end) === "l" ? 1 : 0;
    return { kind: "whole", value, at, end: end + suffix };
  }
  const value = Number(text.slice(at, exponent));
  if (Number.isFinite(value)) return { kind: "decimal", value, at, end: exponent };
  return { position: at, message: "the number is too large" };
}

/** The end of an exponent that begins at `at`, or `at` when none does. */
function afterExponent(text: string, at: number): number {
  if (text.charAt(at) !== "e" && text.charAt(at) !== "E") return at;
  const sign = text.charAt(at + 1) === "+" || text.charAt(at + 1) === "-" ? 1 : 0;
  const end = afterDigits(text, at + 1 + sign);
  return end > at + 1 + sign ? end : at;
}

function textAt(text: string, at: number): Token | FilterFault {
  const parts: string[] = [];
  let from = at + 1;
  for (;;) {
    const quote = text.indexOf("'", from);
    if (quote < 0) return { position: at, message: "the text has no closing quote" };
    parts.push(text.slice(from, quote));
    // Two quotes are one quote of the text.
    if (text.charAt(quote + 1) !== "'")
      return { kind: "text", value: parts.join("'"), at, end: quote + 1 };
    from = quote + 2;
  }
}
