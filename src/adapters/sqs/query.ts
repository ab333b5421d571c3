/**
 * The query protocol: the action and its input stand in a form, lists and maps as numbered names (`Attribute.1.Name`), as AWS's model of
 * SQS flattens them. It gives them the shape that JSON has; what is left is not judged here.
 */
import { fault, done, type Result } from "./faults.ts";
import type { Said } from "./dialect.ts";

/** Names of a form; nobody needs as many: ten entries with ten attributes are 500. */
const NAMES_MAX = 2_000;
/** Parts of a name; the longest is `SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue`. */
const PARTS_MAX = 8;
const PATH = /^\/(?:[^/]+\/[^/]+\/?)?$/;
const FORM = /^application\/x-www-form-urlencoded[ \t]*(?:;|$)/i;

/** A POST of a form, or a GET with an action, to the root or to a queue. */
export function isQuery({ method, headers, url }: Request): boolean {
  const isForm = method === "POST" && FORM.test(headers.get("content-type") ?? "");
  const isGet = method === "GET" && /[?&]Action=/.test(url);
  return (isForm || isGet) && PATH.test(new URL(url).pathname);
}

export function readQuery({ url }: Request, body: string): Result<Said> {
  const { search, pathname } = new URL(url);
  const texts = [search, body];
  // Before they are taken apart: each would cost more than it is long.
  if (texts.some((text) => text.split("&", NAMES_MAX + 1).length > NAMES_MAX)) {
    return fault("InvalidParameterValue", `A form has at most ${NAMES_MAX} names.`);
  }
  const tree: Tree = new Map();
  for (const [name, value] of texts.flatMap((text) => [...new URLSearchParams(text)])) {
    const parts = name.split(".", PARTS_MAX + 1);
    if (parts.length > PARTS_MAX) {
      return fault("InvalidParameterValue", `A name of a form has at most ${PARTS_MAX} parts.`);
    }
    plant(tree, parts, value);
  }
  const action = tree.get("Action");
  if (typeof action !== "string") {
    return fault("MissingParameter", "The request must contain the parameter Action.");
  }
  // Older SDKs say the queue by the path.
  if (!tree.has("QueueUrl") && pathname !== "/") tree.set("QueueUrl", pathname);
  return done({ action, input: inputOf(action, tree) });
}

type Tree = Map<string, string | Tree>;

/** A name that is both a text and the beginning of others stays what it was first. */
function plant(tree: Tree, [first = "", ...rest]: readonly string[], value: string): void {
  if (rest.length === 0) {
    if (!tree.has(first)) tree.set(first, value);
    return;
  }
  const branch = tree.get(first) ?? new Map<string, string | Tree>();
  if (typeof branch === "string") return;
  tree.set(first, branch);
  plant(branch, rest, value);
}

interface Flat {
  readonly as: string;
  of(parts: readonly Part[]): unknown;
}

/** What JSON calls a flattened list or map, and how it is made of the numbered parts. */
const FLAT: ReadonlyMap<string, Flat> = new Map(
  Object.entries<Flat>({
    Attribute: { as: "Attributes", of: (parts) => mapOf(parts, "Name", textAt) },
    AttributeName: { as: "AttributeNames", of: textsOf },
    MessageAttribute: { as: "MessageAttributes", of: (parts) => mapOf(parts, "Name", objectAt) },
    MessageAttributeName: { as: "MessageAttributeNames", of: textsOf },
    MessageSystemAttribute: {
      as: "MessageSystemAttributes",
      of: (parts) => mapOf(parts, "Name", objectAt),
    },
    MessageSystemAttributeName: { as: "MessageSystemAttributeNames", of: textsOf },
    Tag: { as: "Tags", of: (parts) => mapOf(parts, "Key", textAt) },
    TagKey: { as: "TagKeys", of: textsOf },
  }),
);
const ENTRY = /^[A-Za-z]+BatchRequestEntry$/;

type Part = string | Tree;

function inputOf(action: string, tree: Tree): Readonly<Record<string, unknown>> {
  const input: [string, unknown][] = [];
  for (const [name, part] of tree) {
    const flat = typeof part === "string" ? undefined : FLAT.get(name);
    if (flat !== undefined) input.push([flat.as, flat.of(partsOf(part))]);
    else if (ENTRY.test(name))
      input.push(["Entries", partsOf(part).map((each) => entryOf(action, each))]);
    else input.push([name, part]);
  }
  // The one input that JSON writes in lower case.
  if (action === "CreateQueue") for (const pair of input) if (pair[0] === "Tags") pair[0] = "tags";
  // A batch without entries has no name for them.
  if (action.endsWith("Batch") && !input.some(([name]) => name === "Entries"))
    input.push(["Entries", []]);
  return Object.fromEntries(input);
}

const entryOf = (action: string, part: Part): unknown =>
  typeof part === "string" ? part : inputOf(action.replace(/Batch$/, ""), part);

/** By their numbers, whatever the order in which they came. */
function partsOf(part: Part): Part[] {
  if (typeof part === "string") return [];
  return Array.from(part)
    .toSorted(([one], [other]) => Number(one) - Number(other))
    .map(([, each]) => each);
}

function textsOf(parts: readonly Part[]): string[] {
  return parts.filter((part) => typeof part === "string");
}

const textAt = (part: Part | undefined): unknown => (typeof part === "string" ? part : "");
const objectAt = (part: Part | undefined): unknown =>
  typeof part === "string" || part === undefined ? {} : Object.fromEntries(part);

function mapOf(
  parts: readonly Part[],
  key: string,
  valueAt: (part: Part | undefined) => unknown,
): Readonly<Record<string, unknown>> {
  const entries: [string, unknown][] = [];
  for (const part of parts) {
    if (typeof part === "string") continue;
    const name = part.get(key);
    if (typeof name === "string") entries.push([name, valueAt(part.get("Value"))]);
  }
  return Object.fromEntries(entries);
}
