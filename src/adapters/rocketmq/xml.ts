/**
 * The XML of the protocol, read strictly and written as every SDK's parser takes it: text escaped by entities and never CDATA,
 * no attributes but the namespace, no element empty that may be left out. It knows shapes, and no meanings.
 */
import { SaxesParser } from "saxes";
import { done, fault, type Result } from "./faults.ts";

export const CONTENT_TYPE = "text/xml;charset=utf-8";
const NAMESPACE = "http://mq.aliyuncs.com/doc/v1/";
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
/** Handles, or a message's parts; more are no request of this protocol. */
const LEAVES_MAX = 1_000;
/** They mean nothing here, and are few: a namespace. */
const ATTRIBUTES_MAX = 100;
const SIGNS = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu;

/** Whether XML 1.0 can say the text: control characters and lone surrogates it cannot. */
export const isSayable = (text: string): boolean => text.search(SIGNS) < 0;

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  // A reader would make a line feed of it.
  "\r": "&#13;",
};

/** What cannot be said, and was not left out before, is shown as U+FFFD: no parser takes a document with it. */
const escaped = (text: string): string =>
  text.replaceAll(/[&<>\r]/g, (sign) => ENTITIES[sign] ?? sign).replaceAll(SIGNS, "\uFFFD");

/** Names and texts in the order in which they stand; undefined ones are left out. */
export type Leaves = Readonly<Record<string, string | number | undefined>>;

/** An element of leaves. */
export const element = (name: string, leaves: Leaves): string =>
  `<${name}>${leavesText(leaves)}</${name}>`;

const leavesText = (leaves: Leaves): string =>
  Object.entries(leaves)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `<${name}>${escaped(String(value))}</${name}>`)
    .join("");

/** A whole document of what stands in its root. */
export const documentOf = (root: string, inner: string): string =>
  `${DECLARATION}<${root} xmlns="${NAMESPACE}">${inner}</${root}>`;

export const leafDocument = (root: string, leaves: Leaves): string =>
  documentOf(root, leavesText(leaves));

/** One child of the root, with its text. */
export interface Leaf {
  readonly name: string;
  readonly text: string;
}

/** The leaves of a document with this root, in order. Entities of its own and document types are refused. */
export function readLeaves(text: string, root: string): Result<readonly Leaf[]> {
  try {
    return done(parse(text, new Reading(root)));
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return fault("MalformedXML", `The body is not the XML of this request: ${error.message}`);
  }
}

/** Ends the parser, which has no other end before that of the text. */
class Malformed extends Error {
  override readonly name = "Malformed";
}

function fail(why: string): never {
  throw new Malformed(why);
}

function parse(text: string, reading: Reading): readonly Leaf[] {
  const parser = new SaxesParser();
  parser.on("error", ({ message }) => fail(message));
  parser.on("doctype", () => fail("there is no document type here"));
  parser.on("opentag", ({ name }) => reading.open(name));
  parser.on("attribute", () => reading.attribute());
  parser.on("closetag", () => reading.close());
  parser.on("text", (part) => reading.text(part));
  parser.on("cdata", (part) => reading.text(part));
  parser.write(text.includes("\r") ? withReturns(text) : text).close();
  return reading.leaves;
}

/** How markup begins, and what ends it; the first that fits counts. */
const MARKUP = [
  ["<![CDATA[", "]]>"],
  ["<!--", "-->"],
  ["<?", "?>"],
  ["<", ">"],
] as const;

/**
 * The document with the carriage returns of its text as entities, CDATA included. A parser makes line feeds of plain ones, as XML
 * wants it; but SDKs write the body of a message as it is, and mean it so.
 */
function withReturns(text: string): string {
  let written = "";
  let at = 0;
  while (at < text.length) {
    const from = text.indexOf("<", at);
    const before = text.slice(at, from < 0 ? undefined : from);
    written += before.trim() === "" ? before : before.replaceAll("\r", "&#13;");
    if (from < 0) return written;
    const [begin, end] = MARKUP.find(([sign]) => text.startsWith(sign, from)) ?? MARKUP[3];
    const to = text.indexOf(end, from + begin.length);
    // Not well formed, which the parser finds, too.
    if (to < 0) return written + text.slice(from);
    at = to + end.length;
    const isCdata = begin === MARKUP[0][0];
    written += isCdata ? escaped(text.slice(from + begin.length, to)) : text.slice(from, at);
  }
  return written;
}

class Reading {
  readonly leaves: Leaf[] = [];
  readonly #root: string;
  #attributes = 0;
  #depth = 0;
  #name = "";
  #text = "";

  constructor(root: string) {
    this.#root = root;
  }

  open(name: string): void {
    this.#depth++;
    if (this.#depth === 1 && name !== this.#root) fail(`its root is ${this.#root}`);
    if (this.#depth > 2) fail(`${this.#name} holds elements`);
    if (this.leaves.length >= LEAVES_MAX) fail(`it has more than ${LEAVES_MAX} elements`);
    this.#name = name;
    this.#text = "";
  }

  attribute(): void {
    if (++this.#attributes > ATTRIBUTES_MAX) fail(`it has more than ${ATTRIBUTES_MAX} attributes`);
  }

  close(): void {
    if (this.#depth === 2) this.leaves.push({ name: this.#name, text: this.#text });
    this.#depth--;
  }

  text(part: string): void {
    if (this.#depth === 2) this.#text += part;
    else if (part.trim() !== "") fail("text stands outside of its elements");
  }
}
