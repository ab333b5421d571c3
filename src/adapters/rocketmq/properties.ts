/**
 * Properties, which the protocol writes as `name:value|name:value`: from that text to the parts of a message, and back. Names
 * that begin with two underscores, and KEYS, mean something; the rest is the user's.
 */
import { utf8Length } from "../../core/bytes.ts";
import type { Content } from "../../core/record.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { done, fault, type Fault, type Result } from "./faults.ts";
import { isSayable } from "./xml.ts";

const KEYS = "KEYS";
const DELIVER_AT = "__STARTDELIVERTIME";
const CHECK_SECONDS = "__TransCheckT";
const SHARDING_KEY = "__SHARDINGKEY";
/** Of a body that XML cannot say: `base64`. */
const BODY_ENCODING = "__HALFMQ_BODY";

const CHECK_SECONDS_MAX = LIMITS.checkMsMax / 1_000;

export interface Said {
  readonly content: Pick<Content, "properties" | "keys" | "messageGroup" | "deliverAt">;
  /** Of a transactional message: when its first check is due. */
  readonly checkMs?: number;
}

/** What the text says; a later entry of a name takes the place of an earlier one. */
export function readProperties(text: string, nowMs: number): Result<Said> {
  const named = new Map<string, string>();
  for (const entry of text.split("|")) {
    if (entry === "") continue;
    const at = entry.indexOf(":");
    if (at < 1) return fault("InvalidArgument", `Properties are name:value, with | between them`);
    named.set(entry.slice(0, at), entry.slice(at + 1));
  }
  // An empty key is none, as SDKs send it.
  const keys = named
    .get(KEYS)
    ?.split(" ")
    .filter((key) => key !== "");
  named.delete(KEYS);
  const empty = [...named].find(([, value]) => value === "");
  if (empty !== undefined) return fault("InvalidArgument", `Property ${empty[0]} is empty`);
  const messageGroup = named.get(SHARDING_KEY);
  named.delete(SHARDING_KEY);
  const wrong = wordsFault(keys ?? [], messageGroup) ?? sizeFault(named);
  if (wrong !== undefined) return wrong;
  const deliverAt = wholeOf(named.get(DELIVER_AT), nowMs + LIMITS.delayMsMax);
  if (deliverAt === "wrong") {
    return fault("InvalidArgument", `${DELIVER_AT} is an instant in ms, at most 366 days ahead`);
  }
  const seconds = wholeOf(named.get(CHECK_SECONDS), CHECK_SECONDS_MAX);
  if (seconds === "wrong" || seconds === 0) {
    return fault("InvalidArgument", `${CHECK_SECONDS} is 1 to ${CHECK_SECONDS_MAX} seconds`);
  }
  return done({
    content: {
      // Reserved ones are kept too: they are given back as they came.
      ...(named.size === 0 ? {} : { properties: Object.fromEntries(named) }),
      ...(keys === undefined || keys.length === 0 ? {} : { keys }),
      ...(messageGroup === undefined ? {} : { messageGroup }),
      ...(deliverAt === undefined ? {} : { deliverAt }),
    },
    ...(seconds === undefined ? {} : { checkMs: seconds * 1_000 }),
  });
}

function wholeOf(text: string | undefined, most: number): number | undefined | "wrong" {
  if (text === undefined) return undefined;
  return /^\d{1,16}$/.test(text) && Number(text) <= most ? Number(text) : "wrong";
}

function wordsFault(keys: readonly string[], messageGroup: string | undefined): Fault | undefined {
  if (keys.length > LIMITS.keysMax)
    return fault("InvalidArgument", `${KEYS} are at most ${LIMITS.keysMax}, with blanks between`);
  for (const [name, texts] of [
    [KEYS, keys],
    [SHARDING_KEY, messageGroup === undefined ? [] : [messageGroup]],
  ] as const) {
    if (texts.every((word) => utf8Length(word) <= LIMITS.wordBytesMax)) continue;
    return fault("InvalidArgument", `${name}: each has at most ${LIMITS.wordBytesMax} bytes`);
  }
  return undefined;
}

function sizeFault(named: ReadonlyMap<string, string>): Fault | undefined {
  if (named.size > LIMITS.propertiesMax)
    return fault("InvalidArgument", `A message has at most ${LIMITS.propertiesMax} properties`);
  let bytes = 0;
  for (const [name, value] of named) bytes += utf8Length(name) + utf8Length(value);
  if (bytes <= LIMITS.propertiesBytesMax) return undefined;
  const detail = `Properties have at most ${LIMITS.propertiesBytesMax} bytes together`;
  return fault("InvalidArgument", detail);
}

/** As a consumer is shown them; undefined without any. What the text cannot carry is left out. */
export function writeProperties(content: Content, isBase64: boolean): string | undefined {
  const { properties = {}, keys = [], messageGroup } = content;
  const entries = new Map(Object.entries(properties));
  // Another program's property must not pass for a part of the message.
  for (const name of [KEYS, SHARDING_KEY, BODY_ENCODING]) entries.delete(name);
  if (keys.length > 0) entries.set(KEYS, keys.join(" "));
  if (messageGroup !== undefined) entries.set(SHARDING_KEY, messageGroup);
  if (isBase64) entries.set(BODY_ENCODING, "base64");
  const carried = [...entries].filter(([name, value]) => isCarried(name, value));
  if (carried.length === 0) return undefined;
  return carried.map(([name, value]) => `${name}:${value}`).join("|");
}

const isCarried = (name: string, value: string): boolean =>
  name !== "" &&
  value !== "" &&
  !name.includes(":") &&
  !`${name}${value}`.includes("|") &&
  isSayable(name + value);
