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
