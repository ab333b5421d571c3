/** Push, batch push, pull, acknowledge: a lease id is a receipt, and fenced like one. */
import type { Delivery } from "../../broker/broker.ts";
import { bodyLength, type Content } from "../../core/record.ts";
import { utf8Length } from "../../core/bytes.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { type GiveBack, receiveFor } from "../leaving.ts";
import { jsonBody, shown, textBody } from "./body.ts";
import { type Context, labelled, type Queue, queueAt } from "./context.ts";
import { done, fault, faultOf, invalid, type Fault, type Result } from "./faults.ts";
import type { Input } from "./inputs.ts";
import { metricsOf } from "./metrics.ts";

/** An answer's `result`, and what ends the leases of a client that turns out to be gone. */
export interface Answer {
  readonly result: unknown;
  readonly giveBack?: GiveBack;
}

export async function push(
  context: Context,
  name: string,
  input: Input<"push">,
): Promise<Result<Answer>> {
  return pushBatch(context, name, { messages: [input] });
}

/** All or none in each of the topic's queues; what failed in some is said, message by message. */
export async function pushBatch(
  context: Context,
  name: string,
  { messages, delay_seconds: delay }: Input<"pushBatch">,
): Promise<Result<Answer>> {
  const found = await queueAt(context, name, ["send"]);
  if (!found.ok) return found;
  const usual = delay ?? labelled(found.value, "delivery_delay");
  const contents: Content[] = [];
  for (const [place, message] of messages.entries()) {
    const content = contentOf(message, usual, `messages[${place}]`);
    if (!content.ok) return content;
    contents.push(content.value);
  }
  const { edge, caller } = context;
  const admitted = await edge.admit(caller, contents.length);
  if (!admitted.ok) return faultOf(admitted);
  const sent = await edge.broker.send(found.value.at, { messages: contents });
  if (!sent.ok) return faultOf(sent);
  return done({ result: {} });
}

function contentOf(
  message: Input<"push">,
  usualDelay: number | undefined,
  place: string,
): Result<Content> {
  const body = message.content_type === "text" ? textBody(message.body) : jsonBody(message.body);
  const bytes = bodyLength(body.body);
  if (bytes > LIMITS.bodyBytesMax) {
    const detail = `${place}.body: at most ${LIMITS.bodyBytesMax} bytes, but has ${bytes}`;
    return fault(413, 413, "message_too_large", detail);
  }
  const { message_group: messageGroup, dedup_id: dedupId } = message;
  for (const word of [messageGroup, dedupId])
    if (word !== undefined && utf8Length(word) > LIMITS.wordBytesMax)
      return invalid(
        `${place}: message_group and dedup_id have at most ${LIMITS.wordBytesMax} bytes`,
      );
  const delayMs = (message.delay_seconds ?? usualDelay ?? 0) * 1_000;
  return done({
    ...body,
    ...(delayMs === 0 ? {} : { delayMs }),
    ...(messageGroup === undefined ? {} : { messageGroup }),
    ...(dedupId === undefined ? {} : { dedupId }),
  });
}

export async function pull(
  context: Context,
  name: string,
  input: Input<"pull">,
): Promise<Result<Answer>> {
  const found = await queueAt(context, name, ["consume"]);
  if (!found.ok) return found;
  const { wait_ms: waitMs, visibility_timeout_ms: invisibleMs } = input;
  const received = await receiveFor(context, found.value.at, {
    maxMessages: input.batch_size,
    waitMs,
    ...(invisibleMs === undefined ? {} : { invisibleMs }),
  });
  if (!received.ok) return faultOf(received);
  const { messages, giveBack } = received.value;
  const metrics = await metricsOf(context, found.value);
  return done({
    result: {
      messages: messages.map(pulled),
      // Of a backlog that cannot be told now nothing is said: what was leased must be handed out.
      ...(metrics.ok
        ? {
            message_backlog_count: metrics.value.backlog_count,
            metadata: { metrics: metrics.value },
          }
        : {}),
    },
    ...(giveBack === undefined ? {} : { giveBack }),
  });
}

function pulled({ id, content, receipt, deliveryAttempt, sentAt }: Delivery) {
  const { body, type } = shown(content);
  const { messageGroup } = content;
  return {
    id,
    body,
    timestamp_ms: sentAt,
    attempts: deliveryAttempt,
    lease_id: receipt,
    metadata: {
      "CF-sourceMessageSource": "http",
      "CF-Content-Type": type,
      ...(messageGroup === undefined ? {} : { "HalfMQ-Message-Group": messageGroup }),
    },
  };
}

/** An old lease acks and retries nothing: `warnings` names each, and the counts leave it out. */
export async function acknowledge(
  context: Context,
  name: string,
  { acks, retries }: Input<"ack">,
): Promise<Result<Answer>> {
  const found = await queueAt(context, name, ["consume"]);
  if (!found.ok) return found;
  const settler = new Settler(context, found.value);
  const ids = acks.map(({ lease_id: id }) => id);
  const delays = Map.groupBy(retries, ({ delay_seconds: seconds }) => seconds);
  const ackCount = await settler.settle({ verb: "ack", receipts: ids });
  if (!ackCount.ok) return ackCount;
  let retryCount = 0;
  for (const [seconds, group] of delays) {
    const settled = await settler.settle({
      verb: "nack",
      receipts: group.map(({ lease_id: id }) => id),
      ...(seconds === undefined ? {} : { delayMs: seconds * 1_000 }),
    });
    if (!settled.ok) return settled;
    retryCount += settled.value;
  }
  const warnings = Object.fromEntries(settler.warnings);
  return done({ result: { ackCount: ackCount.value, retryCount, warnings } });
}

class Settler {
  /** By lease id. */
  readonly warnings = new Map<string, string>();
  readonly #context: Context;
  readonly #queue: Queue;

  constructor(context: Context, queue: Queue) {
    this.#context = context;
    this.#queue = queue;
  }

  /** How many were still good. */
  async settle(request: {
    readonly verb: "ack" | "nack";
    readonly receipts: readonly string[];
    readonly delayMs?: number;
  }): Promise<Result<number> | Fault> {
    if (request.receipts.length === 0) return done(0);
    const outcome = await this.#context.edge.broker.settle(this.#queue.at, request);
    if (!outcome.ok) return faultOf(outcome);
    let good = 0;
    for (const each of outcome.value) {
      if (each.ok) good++;
      else this.warnings.set(each.receipt, WARNINGS[each.code]);
    }
    return done(good);
  }
}

const WARNINGS = {
  receipt_expired: "The lease has ended: the message was delivered again, or is done.",
  receipt_invalid: "This is no lease id of this queue.",
} as const;
