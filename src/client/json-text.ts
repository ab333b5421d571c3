/**
 * The exact JSON text of message bodies inside an answer. The broker gives a body back as it was sent, but `JSON.parse` rounds
 * large numbers; whoever needs every digit reads the text. It trusts that the answer is valid JSON: JSON.parse saw it first.
 */

/** The text of `[list][i].body` of an answer for each i; undefined where an item has no `body`. */
export function bodyTexts(answer: string, list: string): readonly (string | undefined)[] {
  const found: (string | undefined)[] = [];
  for (const [name, start] of members(answer, skipSpace(answer, 0))) {
    if (name !== list) continue;
    for (const item of elements(answer, start)) found.push(bodyText(answer, item));
  }
  return found;
}

function bodyText(text: string, start: number): string | undefined {
  for (const [name, value] of members(text, start)) {
    if (name === "body") return text.slice(value, endOfValue(text, value));
  }
  return undefined;
}

/** Each member's name and where its value begins. */
function* members(text: string, start: number): Generator<readonly [string, number]> {
  let at = skipSpace(text, start + 1);
  while (text[at] === '"') {
    const nameEnd = endOfString(text, at);
    const value = skipSpace(text, skipSpace(text, nameEnd) + 1);
    yield [JSON.parse(text.slice(at, nameEnd)) as string, value];
    at = skipSpace(text, endOfValue(text, value));
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
}

/** Where each element begins. */
function* elements(text: string, start: number): Generator<number> {
  let at = skipSpace(text, start + 1);
  while (at < text.length && text[at] !== "]") {
    yield at;
    at = skipSpace(text, endOfValue(text, at));
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
}

function endOfValue(text: string, start: number): number {
  const first = text[start];
  if (first === '"') return endOfString(text, start);
  if (first !== "{" && first !== "[") {
    const end = /[,\]}\s]/gu;
    end.lastIndex = start;
    return end.exec(text)?.index ?? text.length;
  }
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (character === '"') at = endOfString(text, at) - 1;
    else if (character === "{" || character === "[") depth++;
    else if ((character === "}" || character === "]") && --depth === 0) return at + 1;
  }
  return text.length;
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++;
  return at;
}
