/**
 * A message as an event of CloudEvents 1.0, as JSON. Pure; reading events is the door's, headers are event-headers.ts's.
 * What came as an event leaves as the same event: its attributes are properties that begin with `ce_`, as in the Kafka
 * binding. Of any other message the event is made up. Rules from the specification's core, JSON format and HTTP binding.
 */
import { encodeBase64 } from "./base64.ts";
import { encodeText, utf8Text } from "./bytes.ts";
import type { Message } from "./message.ts";
import type { Content } from "./record.ts";

/** In front of an attribute's name, in the name of the property that keeps it. */
export const ATTRIBUTE_PREFIX = "ce_";
export const EVENT_TYPE = "application/cloudevents+json";
export const BATCH_TYPE = "application/cloudevents-batch+json";
export const SPEC_VERSION = "1.0";

const ATTRIBUTE_NAME = /^[a-z0-9]+$/;
/** Names that are no attribute's: `data` is the event's own member, the content type stands with the message. */
const NO_ATTRIBUTES: ReadonlySet<string> = new Set(["data", "datacontenttype"]);
/** What the attributes of any event mean; a property of a message that is no event means something else. */
const CONTEXT: ReadonlySet<string> = new Set([
  "specversion",
  "id",
  "source",
  "type",
  "subject",
  "time",
  "dataschema",
  "traceparent",
  "partitionkey",
]);
/** As long as the specification has names; longer ones of properties are somebody else's. */
const NAME_CHARS_MAX = 20;
/** Of a message without a tag. */
const TYPE_DEFAULT = "halfmq.message";

export const isAttributeName = (name: string): boolean =>
  ATTRIBUTE_NAME.test(name) && !NO_ATTRIBUTES.has(name);

/** Absent: there is none, which is JSON. */
export function isJsonType(contentType: string | undefined): boolean {
  if (contentType === undefined) return true;
  const [media = ""] = contentType.toLowerCase().split(";");
  return /^[^/]+\/(?:json|[^/]*\+json)$/.test(media.trim());
}

/** Texts by their content type: their bytes may stand as a string in JSON. */
function isTextType(contentType: string | undefined): boolean {
  const [media = ""] = (contentType ?? "").toLowerCase().split(";");
  return /^text\/|^application\/xml$|\+xml$/.test(media.trim());
}

/** The event's attributes but its content type, those that must be there first. */
export function attributesOf(message: Message): ReadonlyMap<string, string> {
  const { content, topic } = message;
  const attributes = new Map([
    ["specversion", SPEC_VERSION],
    ["id", message.id],
    ["source", `/v1/topics/${encodeURIComponent(topic)}`],
    ["type", content.tag ?? TYPE_DEFAULT],
  ]);
  const entries = Object.entries(content.properties ?? {});
  const isEvent = content.properties?.[`${ATTRIBUTE_PREFIX}specversion`] !== undefined;
  if (!isEvent) {
    attributes.set("time", new Date(message.sentAt).toISOString());
    if (content.messageGroup !== undefined) attributes.set("partitionkey", content.messageGroup);
    for (const [name, value] of entries) {
      const isFree = isAttributeName(name) && name.length <= NAME_CHARS_MAX && !CONTEXT.has(name);
      if (isFree && value !== "") attributes.set(name, value);
    }
  }
  if (content.traceparent !== undefined) attributes.set("traceparent", content.traceparent);
  for (const [property, value] of entries) {
    const name = property.slice(ATTRIBUTE_PREFIX.length);
    const isKept = property.startsWith(ATTRIBUTE_PREFIX) && isAttributeName(name) && value !== "";
    if (isKept && name !== "specversion") attributes.set(name, value);
  }
  return attributes;
}

/** The whole event as JSON text; a JSON body is laid in as it came. */
export function structuredEvent(message: Message): string {
  const { contentType } = message.content;
  let text = "";
  for (const [name, value] of attributesOf(message))
    text += `${text === "" ? "{" : ","}"${name}":${JSON.stringify(value)}`;
  if (contentType !== undefined) text += `,"datacontenttype":${JSON.stringify(contentType)}`;
  return `${text}${dataMember(message.content)}}`;
}

function dataMember({ body, contentType }: Content): string {
  if ("json" in body && isJsonType(contentType)) return `,"data":${body.json}`;
  // One that cannot be had is an event without data.
  if ("ref" in body) return "";
  const bytes = "json" in body ? encodeText(body.json) : body.bytes;
  if (bytes.length === 0) return "";
  const text = isTextType(contentType) ? utf8Text(bytes) : undefined;
  return text === undefined
    ? `,"data_base64":"${encodeBase64(bytes)}"`
    : `,"data":${JSON.stringify(text)}`;
}
