/**
 * An event of CloudEvents 1.0 as it came, and the message that it becomes. Pure, given the time. What the broker acts on is
 * taken from the attributes: `source` and `id` are the dedup id, `type` the tag, `partitionkey` or `subject` the message group,
 * `expirytime` the end; all of them stay with the message as properties, so that it can leave as the event that it was.
 */
import { utf8Length } from "../../core/bytes.ts";
import { ATTRIBUTE_PREFIX, isAttributeName, SPEC_VERSION } from "../../core/event.ts";
import { bodyLength, type Content } from "../../core/record.ts";
import { base64url } from "../../platform/random.ts";
import { sha256 } from "../../platform/constant-time.ts";
import { accept, refuse, type Facts, type Outcome, type Refusal } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";

export interface Event {
  /** All but `datacontenttype`, as text. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly contentType: string | undefined;
  readonly body: Content["body"];
}

const REQUIRED = ["id", "source", "type"] as const;
const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const CONTROL = /\p{Cc}/u;

/** `at` stands in front of a field's name in a refusal: `[3].`. */
export function contentOf(event: Event, at: string, nowMs: number): Outcome<Content> {
  const { attributes, contentType, body } = event;
  const fault = attributesFault(event, at) ?? sizeFault(event, at);
  if (fault !== undefined) return fault;
  const of = (name: string): string => attributes.get(name) ?? "";
  const expiry = attributes.get("expirytime");
  const expiresAt = expiry === undefined ? undefined : Date.parse(expiry);
  if (expiresAt !== undefined && expiresAt <= nowMs)
    return invalid(`${at}expirytime`, "is over", { limit: nowMs, actual: expiresAt });
  const messageGroup = groupOf(attributes.get("partitionkey") ?? attributes.get("subject"));
  const traceparent = attributes.get("traceparent");
  return accept({
    body,
    tag: of("type"),
    dedupId: `ce:${digestOf(`${of("source")}\n${of("id")}`)}`,
    properties: Object.fromEntries(
      Array.from(attributes, ([name, value]) => [ATTRIBUTE_PREFIX + name, value]),
    ),
    ...(contentType === undefined ? {} : { contentType }),
    ...(messageGroup === undefined ? {} : { messageGroup }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(traceparent !== undefined && TRACEPARENT.test(traceparent) ? { traceparent } : {}),
  });
}

const digestOf = (text: string): string => base64url(sha256(text));

/** A message group only tells its messages from others: a long one is as good by its digest. */
function groupOf(text: string | undefined): string | undefined {
  if (text === undefined || text === "") return undefined;
  return utf8Length(text) <= LIMITS.wordBytesMax ? text : `sha256:${digestOf(text)}`;
}

function attributesFault({ attributes, contentType }: Event, at: string): Refusal | undefined {
  const version = attributes.get("specversion");
  if (version !== SPEC_VERSION)
    return invalid(`${at}specversion`, `is ${SPEC_VERSION}`, { actual: version ?? "" });
  for (const name of REQUIRED)
    if ((attributes.get(name) ?? "") === "") return invalid(at + name, "is required");
  for (const [name, value] of attributes) {
    if (!isAttributeName(name)) return invalid(at + name, "is no name of an attribute (a-z, 0-9)");
    if (!value.isWellFormed() || CONTROL.test(value))
      return invalid(at + name, "is text without control characters and lone surrogates");
  }
  if (/\s/.test(attributes.get("source") ?? ""))
    return invalid(`${at}source`, "is a URI reference");
  for (const name of ["time", "expirytime"]) {
    const value = attributes.get(name);
    const isTime = value === undefined || (RFC3339.test(value) && !Number.isNaN(Date.parse(value)));
    if (!isTime) return invalid(at + name, "is a timestamp of RFC 3339");
  }
  if (contentType !== undefined && (contentType === "" || CONTROL.test(contentType)))
    return invalid(`${at}datacontenttype`, "is a media type");
  return undefined;
}

function sizeFault({ attributes, contentType, body }: Event, at: string): Refusal | undefined {
  const sized: readonly (readonly [string, string, number])[] = [
    ["type", attributes.get("type") ?? "", LIMITS.wordBytesMax],
    ["datacontenttype", contentType ?? "", LIMITS.contentTypeBytesMax],
  ];
  for (const [name, value, limit] of sized) {
    const actual = utf8Length(value);
    if (actual > limit) return invalid(at + name, `has at most ${limit} bytes`, { limit, actual });
  }
  const { propertiesMax, propertiesBytesMax } = LIMITS;
  if (attributes.size > propertiesMax) {
    const facts = { limit: propertiesMax, actual: attributes.size };
    return invalid(`${at}attributes`, `are at most ${propertiesMax}`, facts);
  }
  let bytes = 0;
  for (const [name, value] of attributes)
    bytes += ATTRIBUTE_PREFIX.length + name.length + utf8Length(value);
  if (bytes > propertiesBytesMax) {
    const facts = { limit: propertiesBytesMax, actual: bytes };
    return invalid(`${at}attributes`, `have at most ${propertiesBytesMax} bytes together`, facts);
  }
  return dataFault(body, at);
}

function dataFault(body: Event["body"], at: string): Refusal | undefined {
  const limit = LIMITS.bodyBytesMax;
  const actual = bodyLength(body);
  if (actual <= limit) return undefined;
  const field = `${at}data`;
  return refuse("message_too_large", `${field}: at most ${limit} bytes`, { field, limit, actual });
}

export const invalid = (field: string, what: string, facts: Facts = {}): Refusal =>
  refuse("invalid_request", `${field} ${what}`, { field, ...facts });
