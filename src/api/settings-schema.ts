/**
 * The settings of topics, groups, producer groups and keys as requests write them: every field optional, none unknown.
 * What a version does not have yet is refused by name.
 */
import { z } from "zod";
import { utf8Length } from "../core/bytes.ts";
import { parseFilter } from "../core/filter/parser.ts";
import { isNamespace } from "../platform/key-text.ts";
import { LIMITS } from "../protocol/limits.ts";
import { members } from "../protocol/members.ts";
import { PUSH_FORMATS } from "../protocol/topic.ts";
import { delayMs, instant, invisibleMs, whole, word, words } from "./fields.ts";
import { checkPatch } from "./message-schema.ts";
import { addFault } from "./parse.ts";

const FLUSH_SPACING_MS_MAX = 50;
const DELAYS_MAX = 1_000;
const FACTOR_MAX = 100;
const CALL_TIMEOUT_MS_MAX = 60_000;
const CALL_TIMEOUT_MS_MIN = 100;
const URL_CHARS_MAX = 2_048;
const KEY_TOPICS_MAX = 100;

/** null takes a label away; an empty text is one. */
const label = z.union([z.literal(""), words(LIMITS.labelBytesMax), z.null()]);

/** How many a topic has together is judged where they are laid over those that it has. */
const labels = members(words(LIMITS.labelNameBytesMax), label);

export const topicPatch = z.strictObject({
  queues: whole(1, LIMITS.queuesMax).optional(),
  retentionMs: whole(LIMITS.retentionMsMin, LIMITS.retentionMsMax).optional(),
  transaction: checkPatch.optional(),
  dedupWindowMs: whole(0, LIMITS.dedupWindowMsMax).optional(),
  retentionBytes: whole(1, Number.MAX_SAFE_INTEGER).optional(),
  maxBacklog: whole(0, Number.MAX_SAFE_INTEGER).optional(),
  durability: z.enum(["disk", "memory"]).optional(),
  trace: z.boolean().optional(),
  flushSpacingMs: whole(0, FLUSH_SPACING_MS_MAX).optional(),
  labels: labels.optional(),
});

/** One object and not a union of two, so that a fault is named in the shape that was meant. */
const backoff = z
  .strictObject({
    initialMs: delayMs.optional(),
    factor: z.number().min(1).max(FACTOR_MAX).optional(),
    maxMs: delayMs.optional(),
    delaysMs: z.array(delayMs).min(1).max(DELAYS_MAX).optional(),
  })
  .check((payload) => {
    const { delaysMs, ...curve } = payload.value;
    if (delaysMs === undefined) return;
    const [other] = Object.entries(curve).find(([, value]) => value !== undefined) ?? [];
    if (other !== undefined)
      addFault(payload, { message: "delaysMs, or the others, not both", path: [other] });
  });

/** An expression that is stored was parsed here. */
const sql = z
  .string()
  .check((payload) => {
    const text = payload.value;
    const actual = utf8Length(text);
    const limit = LIMITS.filterBytesMax;
    if (!text.isWellFormed()) {
      addFault(payload, { message: "text is well-formed Unicode, without lone surrogates" });
      return;
    }
    if (actual > limit) {
      addFault(payload, { message: `at most ${limit} bytes in UTF-8`, limit, actual });
      return;
    }
    const parsed = parseFilter(text);
    if (parsed.ok) return;
    const { message, position } = parsed;
    addFault(payload, { message: `${message}, at ${position}`, code: "invalid_filter", position });
  })
  .meta({ minLength: 1, maxLength: LIMITS.filterBytesMax });

const filter = z
  .strictObject({
    tags: z.array(word).min(1).max(LIMITS.filterTagsMax).optional(),
    sql: sql.optional(),
  })
  .check((payload) => {
    const { tags, sql: text } = payload.value;
    if (tags === undefined && text === undefined)
      addFault(payload, { message: "tags or sql is required", path: ["tags"] });
    if (tags !== undefined && text !== undefined)
      addFault(payload, { message: "tags or sql, not both", path: ["sql"] });
  });

const callTimeoutMs = whole(CALL_TIMEOUT_MS_MIN, CALL_TIMEOUT_MS_MAX).optional();
const url = z.string().min(1).max(URL_CHARS_MAX);
const binding = z
  .string()
  .regex(
    /^[A-Za-z_$][\w$]{0,127}$/,
    "a binding's name: 1 to 128 of A-Z a-z 0-9 _ $, no digit first",
  );

/** 0 takes the limit away. */
const ratePerSecond = z.union([
  z.literal(0),
  z.number().min(LIMITS.pushRateMin).max(LIMITS.pushRateMax),
]);

/** A host name; nothing takes the handshake away. */
const handshakeOrigin = z
  .string()
  .regex(
    /^(?=.{0,253}$)(?:[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*)?$/,
    "a host name in small letters, without scheme or port",
  );

/** The registry refuses them, too, where they or the binding were set before. */
function ofUrlOnly(
  payload: z.core.ParsePayload<{
    readonly format?: string | undefined;
    readonly handshakeOrigin?: string | undefined;
  }>,
): void {
  const { format = "messages", handshakeOrigin: origin = "" } = payload.value;
  const field = format !== "messages" ? "format" : origin !== "" ? "handshakeOrigin" : undefined;
  if (field === undefined) return;
  addFault(payload, { message: "is of a URL; a binding is handed messages", path: [field] });
}

const push = z
  .strictObject({
    url: url.optional(),
    binding: binding.optional(),
    maxMessages: whole(1, LIMITS.receiveMessagesMax).optional(),
    concurrency: whole(1, LIMITS.pushConcurrencyMax).optional(),
    timeoutMs: whole(CALL_TIMEOUT_MS_MIN, LIMITS.pushTimeoutMsMax).optional(),
    ratePerSecond: ratePerSecond.optional(),
    format: z.enum(PUSH_FORMATS).optional(),
    handshakeOrigin: handshakeOrigin.optional(),
  })
  .check((payload) => {
    if (payload.value.url !== undefined && payload.value.binding !== undefined)
      addFault(payload, { message: "url or binding, not both", path: ["binding"] });
    else if (payload.value.binding !== undefined) ofUrlOnly(payload);
  });

export const groupPatch = z.strictObject({
  startFrom: z.union([z.enum(["earliest", "latest"]), instant]).optional(),
  invisibleMs: invisibleMs.optional(),
  maxAttempts: whole(1, LIMITS.attemptsMax).optional(),
  backoff: backoff.optional(),
  ordered: z.boolean().optional(),
  onPoison: z.enum(["deadLetter", "block"]).optional(),
  filter: filter.optional(),
  maxInFlight: whole(0, LIMITS.inFlightMax).optional(),
  ratePerSecond: ratePerSecond.optional(),
  messageGroupConcurrency: whole(0, LIMITS.messageGroupConcurrencyMax).optional(),
  mode: z.enum(["shared", "broadcast"]).optional(),
  push: push.optional(),
});

export const producerGroupPatch = z.strictObject({
  check: z
    .union([
      z.strictObject({ url, timeoutMs: callTimeoutMs }),
      z.strictObject({ binding, timeoutMs: callTimeoutMs }),
    ])
    .optional(),
});

export const keySettings = z.strictObject({
  scopes: z
    .array(z.enum(["send", "transact", "consume", "manage"]))
    .min(1)
    .max(4),
  topics: z
    .array(
      z
        .string()
        .regex(
          /^(?=.{1,128}$)[A-Za-z0-9_\-.%]{0,127}\*?$/,
          "a topic's name, or the beginning of names with * behind it",
        ),
    )
    .min(1)
    .max(KEY_TOPICS_MAX)
    .optional(),
  namespace: z.string().refine(isNamespace, "1 to 63 of a-z, 0-9 and -, not - first").optional(),
  expiresAt: instant.optional(),
  limits: z
    .strictObject({
      sendsPerSecond: whole(1, LIMITS.sendsPerSecondMax),
      burst: whole(1, LIMITS.sendsPerSecondMax).optional(),
    })
    .optional(),
});

/** What the operator gives a Worker that binds the entrypoint: a key's rights without a key. */
export const bindingRights = keySettings.pick({ scopes: true, topics: true, namespace: true });
