/**
 * A message as a producer writes it: shape, limits and the relations that need no clock. The body's own text and what
 * depends on the time are message-in.ts's.
 */
import { z } from "zod";
import { utf8Length } from "../core/bytes.ts";
import { LIMITS } from "../protocol/limits.ts";
import { SCHEDULE_PROPERTIES } from "../protocol/rpc.ts";
import { delayMs, instant, name, whole, word, words } from "./fields.ts";
import { addFault } from "./parse.ts";

const CONTROL = /\p{Cc}/u;

/** Own members, `__proto__` included, which a record schema would leave out. */
const properties = z
  .unknown()
  .check((payload) => {
    const value = payload.value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      addFault(payload, { message: "properties are an object of texts" });
      return;
    }
    const entries = Object.entries(value);
    if (entries.length > LIMITS.propertiesMax) {
      const message = `at most ${LIMITS.propertiesMax} properties`;
      addFault(payload, { message, limit: LIMITS.propertiesMax, actual: entries.length });
      return;
    }
    let bytes = 0;
    for (const [key, text] of entries) {
      if (typeof text !== "string" || !text.isWellFormed() || !key.isWellFormed()) {
        addFault(payload, { message: "a property is well-formed text", path: [key] });
        return;
      }
      bytes += utf8Length(key) + utf8Length(text);
    }
    if (bytes <= LIMITS.propertiesBytesMax) return;
    const message = `at most ${LIMITS.propertiesBytesMax} bytes together`;
    addFault(payload, { message, limit: LIMITS.propertiesBytesMax, actual: bytes });
  })
  .meta({ type: "object", additionalProperties: { type: "string" } });

/** It may become a header somewhere, which has no control characters. */
const contentType = words(LIMITS.contentTypeBytesMax).check((payload) => {
  if (CONTROL.test(payload.value))
    addFault(payload, { message: "a content type has no control characters" });
});

const fields = {
  body: z.unknown().optional().meta({ description: "Any JSON, kept as the text that came." }),
  bodyBase64: z.string().optional(),
  contentType: contentType.optional(),
  tag: word.optional(),
  keys: z.array(word).max(LIMITS.keysMax).optional(),
  properties: properties.optional(),
  messageGroup: word.optional(),
  delayMs: delayMs.optional(),
  deliverAt: instant.optional(),
  ttlMs: instant.min(1).optional(),
  expiresAt: instant.optional(),
  dedupId: word.optional(),
};

interface Related {
  readonly body?: unknown;
  readonly bodyBase64?: string | undefined;
  readonly delayMs?: number | undefined;
  readonly deliverAt?: number | undefined;
  readonly ttlMs?: number | undefined;
  readonly expiresAt?: number | undefined;
}

/** `body: null` is a body, so that its being there is what counts; JSON knows no undefined. */
function relate(payload: z.core.ParsePayload<Related>): void {
  const { body, bodyBase64, delayMs: delay, deliverAt, ttlMs, expiresAt } = payload.value;
  const bodies = Number(body !== undefined) + Number(bodyBase64 !== undefined);
  if (bodies !== 1) {
    addFault(payload, { message: "exactly one of body and bodyBase64", path: ["body"] });
  } else if (delay !== undefined && deliverAt !== undefined) {
    addFault(payload, { message: "delayMs or deliverAt, not both", path: ["deliverAt"] });
  } else if (ttlMs !== undefined && expiresAt !== undefined) {
    addFault(payload, { message: "ttlMs or expiresAt, not both", path: ["expiresAt"] });
  }
}

interface Propertied {
  readonly properties?: unknown;
}

/** Those names are the schedule's to fill. */
function relateScheduled(payload: z.core.ParsePayload<Related & Propertied>): void {
  relate(payload);
  const properties = payload.value.properties ?? {};
  const taken = Object.values(SCHEDULE_PROPERTIES).find((each) => Object.hasOwn(properties, each));
  if (taken === undefined) return;
  addFault(payload, { message: "the schedule itself says this", path: ["properties", taken] });
}

const producer = z.strictObject({
  id: word,
  epoch: whole(0, Number.MAX_SAFE_INTEGER),
  sequence: whole(1, Number.MAX_SAFE_INTEGER),
});

const message = z
  .strictObject({ ...fields, producer: producer.optional() })
  .check(relate)
  .meta({ id: "Message" });

/** A field of messages that has no place here. */
const none = (fault: string) => z.undefined({ error: fault }).optional().meta({ not: {} });

const halfMessage = z
  .strictObject({
    ...fields,
    topic: name.optional(),
    producer: none("a transaction takes no producer"),
  })
  .check(relate)
  .meta({ id: "HalfMessage" });

const onlyOnce = none("it would hold for the first run only");

/** Of a schedule, which sends it again and again. */
export const scheduledMessage = z
  .strictObject({
    ...fields,
    deliverAt: onlyOnce,
    expiresAt: onlyOnce,
    dedupId: none("each run is a message of its own"),
    producer: none("a schedule counts by itself"),
  })
  .check(relateScheduled)
  .meta({ id: "ScheduledMessage" });

export type MessageIn = z.output<typeof message>;

const batch = z.strictObject({
  messages: z.array(message).min(1).max(LIMITS.requestMessagesMax),
});

/** One bare message, or a batch. */
export const sendBody = z.union([batch, message]);
const isBatch = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.hasOwn(value, "messages");
export const sendShapeOf = (value: unknown): z.ZodType => (isBatch(value) ? batch : message);

export const checkPatch = z.strictObject({
  timeoutMs: z.int().min(LIMITS.checkMsMin).max(LIMITS.checkMsMax).optional(),
  intervalMs: z.int().min(LIMITS.checkMsMin).max(LIMITS.checkMsMax).optional(),
  maxChecks: z.int().min(1).max(LIMITS.checksMax).optional(),
});

export const prepareBody = z
  .strictObject({
    producerGroup: name,
    messages: z.array(halfMessage).min(1).max(LIMITS.transactionMessagesMax).optional(),
    message: halfMessage.optional(),
    check: checkPatch.optional(),
  })
  .check((payload) => {
    const { messages, message: one } = payload.value;
    if ((messages === undefined) !== (one === undefined)) return;
    addFault(payload, { message: "exactly one of messages and message", path: ["messages"] });
  });
