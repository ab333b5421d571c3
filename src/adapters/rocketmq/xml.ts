/**
 * The XML of the protocol, read strictly and written as every SDK's parser takes it: text escaped by entities and never CDATA,
 * no attributes but the namespace, no element empty that may be left out. It knows shapes, and no meanings.
 */
import { SaxesParser } from "saxes";
import { done, fault, type Result } from "./faults.ts";

export const CONTENT_TYPE = "text/xml;charset=utf-8";
const NAMESPACE = "http://mq.aliyuncs.com/doc/v1/";
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
const CDATA_BEGIN = "<![CDATA[";
const CDATA_END = "]]>";
/** Handles, or a message's parts; more are no request of this protocol. */
const LEAVES_MAX = 1_000;
const SIGN = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;

/** Whether XML 1.0 can say the text: control characters and lone surrogates it cannot. */
export const isSayable = (text: string): boolean => !SIGN.test(text);

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
  // A reader would make a line feed of it.
  "\r": "&#13;",
};

const escaped = (text: string): string =>
  text.replaceAll(/[&<>"'\r]/g, (sign) => ENTITIES[sign] ?? sign);

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
  /** Behind the last markup, so that the next CDATA begins with the first sign of one that comes. */
  let behind = 0;
  const mark = (): void => {
    behind = parser.position;
  };
  parser.on("error", ({ message }) => fail(message));
  parser.on("doctype", () => fail("there is no document type here"));
  parser.on("comment", mark);
  parser.on("processinginstruction", mark);
  parser.on("opentag", ({ name }) => {
    mark();
    reading.open(name);
  });
  parser.on("closetag", () => {
    mark();
    reading.close();
  });
  parser.on("text", (part) => reading.text(part));
  // As it came: the parser makes line feeds of carriage returns, and SDKs that write CDATA cannot escape them.
  parser.on("cdata", () => {
    const from = text.indexOf(CDATA_BEGIN, behind) + CDATA_BEGIN.length;
    mark();
    reading.text(text.slice(from, behind - CDATA_END.length));
  });
  parser.write(text).close();
  return reading.leaves;
}

class Reading {
  readonly leaves: Leaf[] = [];
  readonly #root: string;
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

  close(): void {
    if (this.#depth === 2) this.leaves.push({ name: this.#name, text: this.#text });
    this.#depth--;
  }

  text(part: string): void {
    if (this.#depth === 2) this.#text += part;
    else if (part.trim() !== "") fail("text stands outside of its elements");
  }
}
