/**
 * What the protocol has and this door has not, each with its reason: told to who asks for it, and to the reader of
 * docs/doors/rocketmq-http.md, which a test compares. Never taken and ignored.
 */
import { LIMITS } from "../../protocol/limits.ts";

export const TOKEN_HEADER = "security-token";

export const LACKS = {
  [TOKEN_HEADER]: "There are no temporary credentials; a key of HalfMQ may have an `expiresAt`.",
  "bodies of 4 MiB": `A body has at most ${LIMITS.bodyBytesMax.toLocaleString("en")} bytes.`,
  "`FirstConsumeTime` of a later delivery": "It is not kept: the time when the message was stored.",
} as const;

/** What HalfMQ does that this protocol has no verb for, and what to do instead. */
export const LACKING_VERBS = {
  batches: "A publish is one message; a native send takes up to 1,000.",
  bytes: "A body stands in XML, which has no bytes; send them natively.",
  deduplication: "A publish has no id of its sender; a native send has dedup ids and sequences.",
  expiry: "A message is kept as long as its topic says; a native send may have a ttlMs.",
  extension: "A lease is as long as the group's; the native extend takes the same handle.",
  "giving back": "What is not acked comes again by itself; the native nack takes the same handle.",
  purge: "There is no verb for it; the native seek passes over what waits.",
  recall: "There is no verb that takes a delayed message back; DELETE /v1/messages/{id} does.",
  redrive: "There is no verb for it; the group's dead-letters/redrive puts them back.",
} as const;
