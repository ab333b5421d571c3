/**
 * Finds the text of each message's `body` in a request, or of an event's `data`, so that it is kept exactly as it came: numbers of any size, key
 * order, escapes, white space inside. It reads only text that JSON.parse has taken, and agrees with it: of members with
 * the same name the last counts. It keeps no stack, so depth is no matter.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;

interface Span {
  readonly start: number;
  readonly end: number;
}

/** A request's body as it came, and as text. */
export interface SentText {
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** The JSON text of a value, and its UTF-8 where that is at hand: then nobody need encode it again. */
export interface JsonText {
  readonly json: string;
  readonly utf8?: Uint8Array;
}

/** `body` in the object that the whole text is. */
export const bodyOf = (sent: SentText): JsonText | undefined =>
  partOf(sent, member(sent.text, skipSpace(sent.text, 0), "body").span);

/** The text of a member of the object that the whole text is. */
export function memberOf(text: string, name: string): string | undefined {
  return textOf(text, member(text, skipSpace(text, 0), name).span);
}

/** The text of a member in each object of the array that the whole text is. */
export function membersOf(text: string, name: string): (string | undefined)[] {
  return inArray(text, skipSpace(text, 0), name).map((span) => textOf(text, span));
}

/** `body` in the object under a member: `{"message": {"body": …}}`. */
export function bodyUnder(sent: SentText, name: string): JsonText | undefined {
  const { text } = sent;
  const outer = member(text, skipSpace(text, 0), name).span;
  return outer === undefined ? undefined : partOf(sent, member(text, outer.start, "body").span);
}

/** `body` in each object of the array under a member: `{"messages": [{"body": …}, …]}`. */
export function bodiesUnder(sent: SentText, name: string): (JsonText | undefined)[] {
  const { text } = sent;
  const outer = member(text, skipSpace(text, 0), name).span;
  if (outer === undefined) return [];
  return inArray(text, outer.start, "body").map((span) => partOf(sent, span));
}

/** Of the array of objects that starts at `start`: where the member's value stands in each. */
function inArray(text: string, start: number, name: string): (Span | undefined)[] {
  const spans: (Span | undefined)[] = [];
  let at = skipSpace(text, start + 1);
  while (text.charCodeAt(at) !== CLOSE_BRACKET) {
    const found = member(text, at, name);
    spans.push(found.span);
    at = skipSpace(text, found.end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return spans;
}

const textOf = (text: string, span: Span | undefined): string | undefined =>
  span === undefined ? undefined : text.slice(span.start, span.end);

/** As many bytes as units: each is ASCII, and stands at the same place in both. */
function partOf({ text, bytes }: SentText, span: Span | undefined): JsonText | undefined {
  if (span === undefined) return undefined;
  const json = text.slice(span.start, span.end);
  return bytes.length === text.length
    ? { json, utf8: bytes.subarray(span.start, span.end) }
    : { json };
}

/** The value of the last member of that name in the object that starts at `start`, and where the object ends. */
function member(text: string, start: number, name: string): { span?: Span; end: number } {
  let span: Span | undefined;
  let at = skipSpace(text, start + 1);
  while (text.charCodeAt(at) !== CLOSE_BRACE) {
    const nameEnd = skipString(text, at);
    const isIt = isName(text, at, nameEnd, name);
    const valueStart = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const valueEnd = skipValue(text, valueStart);
    if (isIt) span = { start: valueStart, end: valueEnd };
    at = skipSpace(text, valueEnd);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return span === undefined ? { end: at + 1 } : { span, end: at + 1 };
}

/** Whether the string from `start` to `end`, quotes included, means that name, escaped or not. */
function isName(text: string, start: number, end: number, name: string): boolean {
  if (end - start === name.length + 2) return text.startsWith(name, start + 1);
  const written = text.slice(start, end);
  return written.includes("\\") && JSON.parse(written) === name;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  for (;;) {
    const unit = text.charCodeAt(at);
    if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return at;
    at++;
  }
}

/** Behind the closing quote of the string that starts at `start`. */
function skipString(text: string, start: number): number {
  let at = start;
  for (;;) {
    at = text.indexOf('"', at + 1);
    let slash = at - 1;
    while (text.charCodeAt(slash) === BACKSLASH) slash--;
    if ((at - slash) % 2 === 1) return at + 1;
  }
}

/** Behind the value that starts at `start`. */
function skipValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return skipString(text, start);
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return skipWord(text, start);
  let depth = 0;
  let at = start;
  for (;;) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      at = skipString(text, at);
      continue;
    }
    if (unit === OPEN_BRACE || unit === OPEN_BRACKET) depth++;
    else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) depth--;
    at++;
    if (depth === 0) return at;
  }
}

/** Behind a number, true, false or null. */
function skipWord(text: string, start: number): number {
  let at = start;
  for (;;) {
    const unit = text.charCodeAt(at);
    const isInside =
      (unit >= 0x30 && unit <= 0x39) ||
      (unit >= 0x61 && unit <= 0x7a) ||
      unit === 0x2d ||
      unit === 0x2b ||
      unit === 0x2e ||
      unit === 0x45;
    if (!isInside) return at;
    at++;
  }
}
