/** Answers of the query protocol: the output that JSON shows, as XML with lists and maps flattened as AWS's model of SQS says. */
import Builder from "fast-xml-builder";
import type { Answer } from "./actions.ts";
import type { Encoded, Said } from "./dialect.ts";
import { FOREIGN_SIGNS } from "./message-attributes.ts";
import { FAULTS, type Fault, isSendersFault, queryCodeOf } from "./faults.ts";

const NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/";
const HEADERS = { "content-type": "text/xml" } as const;

/**
 * A parser would make a line feed of a bare carriage return, and the digest of the text would not fit. What XML cannot say, as a
 * label that was set natively, is shown as U+FFFD.
 */
const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\r": "&#xD;",
};

const builder = new Builder({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  processEntities: false,
  tagValueProcessor: (_name, value) =>
    String(value)
      .replaceAll(/[&<>"\r]/g, (sign) => ESCAPES[sign] ?? sign)
      .replaceAll(FOREIGN_SIGNS, "\uFFFD"),
});

/** What the model calls the elements of a list. */
const ITEMS: Readonly<Record<string, string>> = {
  QueueUrls: "QueueUrl",
  queueUrls: "QueueUrl",
  Messages: "Message",
  Failed: "BatchResultErrorEntry",
  Results: "ListMessageMoveTasksResultEntry",
};

/** What it calls the entries of a map, and in each the key. */
const ENTRIES: Readonly<Record<string, readonly [string, string]>> = {
  Attributes: ["Attribute", "Name"],
  MessageAttributes: ["MessageAttribute", "Name"],
  Tags: ["Tag", "Key"],
};

function flattened(action: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const members: [string, unknown][] = [];
  for (const [name, member] of Object.entries(value) as [string, unknown][]) {
    const entry = ENTRIES[name];
    if (entry !== undefined && typeof member === "object" && member !== null) {
      const [element, key] = entry;
      const pairs = Object.entries(member).map(([each, text]) => ({ [key]: each, Value: text }));
      members.push([element, pairs]);
    } else if (Array.isArray(member)) {
      const element = ITEMS[name] ?? `${action}ResultEntry`;
      members.push([element, member.map((each: unknown) => flattened(action, each))]);
    } else members.push([name, member]);
  }
  return Object.fromEntries(members);
}

const document = (content: object): string => `<?xml version="1.0"?>${builder.build(content)}`;

export function writeXml({ output }: Answer, { action }: Said, requestId: string): Encoded {
  const members = flattened(action, output) as object;
  const result = Object.keys(members).length === 0 ? {} : { [`${action}Result`]: members };
  const text = document({
    [`${action}Response`]: {
      "@xmlns": NAMESPACE,
      ...result,
      ResponseMetadata: { RequestId: requestId },
    },
  });
  return { status: 200, text, headers: HEADERS };
}

export function writeXmlFault(why: Fault, requestId: string): Encoded {
  const text = document({
    ErrorResponse: {
      "@xmlns": NAMESPACE,
      Error: {
        Type: isSendersFault(why) ? "Sender" : "Receiver",
        Code: queryCodeOf(why.name),
        Message: why.detail,
      },
      RequestId: requestId,
    },
  });
  return { status: FAULTS[why.name].status, text, headers: HEADERS };
}
