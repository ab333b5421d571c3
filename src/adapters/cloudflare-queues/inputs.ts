/** What each operation takes, as the Cloudflare API has it. HalfMQ's additions are marked; a client that does not know them misses nothing. */
import { z } from "zod";
import { LIMITS } from "../../protocol/limits.ts";

const DAY_SECONDS = 86_400;
const HOURS_12_MS = 43_200_000;
const BATCH_MAX = 100;
const RETRIES_MAX = 100;

const delaySeconds = z.int().min(0).max(DAY_SECONDS);
const word = z
  .string()
  .min(1)
  .max(LIMITS.wordBytesMax)
  .refine((text) => text.isWellFormed(), { message: "is well-formed Unicode" });

/** HalfMQ's own: order, and a second send that is none. */
const additions = {
  message_group: word.optional(),
  dedup_id: word.optional(),
};

const message = z.discriminatedUnion("content_type", [
  z.strictObject({
    content_type: z.literal("text"),
    body: z.string(),
    delay_seconds: delaySeconds.optional(),
    ...additions,
  }),
  z.strictObject({
    content_type: z.literal("json"),
    body: z.unknown().refine((body) => body !== undefined, { message: "is missing" }),
    delay_seconds: delaySeconds.optional(),
    ...additions,
  }),
]);

/** Without a type it is text when it is one, else JSON. */
const typed = z.preprocess(
  (value) =>
    typeof value === "object" && value !== null && !("content_type" in value)
      ? {
          content_type: "body" in value && typeof value.body === "string" ? "text" : "json",
          ...value,
        }
      : value,
  message,
);

const leaseId = z.string().min(1).max(1_024);

const queueSettings = z.strictObject({
  delivery_delay: delaySeconds.optional(),
  delivery_paused: z.boolean().optional(),
  message_retention_period: z.int().min(60).max(1_209_600).optional(),
});

export const INPUTS = {
  createQueue: z.strictObject({ queue_name: z.string(), jurisdiction: z.unknown().optional() }),
  changeQueue: z.strictObject({
    queue_name: z.string().optional(),
    settings: queueSettings.optional(),
    jurisdiction: z.unknown().optional(),
  }),
  push: typed,
  pushBatch: z.strictObject({
    messages: z.array(typed).min(1).max(BATCH_MAX),
    delay_seconds: delaySeconds.optional(),
  }),
  pull: z.strictObject({
    batch_size: z.int().min(1).max(BATCH_MAX).default(5),
    visibility_timeout_ms: z.int().min(1_000).max(HOURS_12_MS).optional(),
    /** An addition: waits so long for the first message. */
    wait_ms: z.int().min(0).max(LIMITS.waitMsMax).default(0),
  }),
  ack: z.strictObject({
    acks: z
      .array(z.strictObject({ lease_id: leaseId }))
      .max(BATCH_MAX)
      .default([]),
    retries: z
      .array(z.strictObject({ lease_id: leaseId, delay_seconds: delaySeconds.optional() }))
      .max(BATCH_MAX)
      .default([]),
  }),
  purge: z.strictObject({ delete_messages_permanently: z.boolean().optional() }),
  consumer: z.strictObject({
    type: z.enum(["http_pull", "worker"]),
    settings: z
      .strictObject({
        batch_size: z.int().min(1).max(BATCH_MAX).optional(),
        max_retries: z.int().min(0).max(RETRIES_MAX).optional(),
        retry_delay: delaySeconds.optional(),
        visibility_timeout_ms: z.int().min(1_000).max(HOURS_12_MS).optional(),
      })
      .optional(),
    dead_letter_queue: z.string().optional(),
    /** Of consumers that are Workers. */
    script_name: z.string().optional(),
    environment_name: z.string().optional(),
  }),
} as const;

export type Input<K extends keyof typeof INPUTS> = z.infer<(typeof INPUTS)[K]>;
