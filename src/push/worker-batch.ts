/**
 * A delivery to a Worker that is bound to the deployment: its `queue(batch)` is called with what Cloudflare Queues would hand
 * it, so that a consumer of those works as it is. The first of `ack` and `retry` wins, a message's own beats the batch's,
 * returning acks the rest and throwing retries it (developers.cloudflare.com/queues, "Batching, retries and delays").
 *
 * The methods are called over RPC and may arrive after the handler has returned, but in order and before the runtime
 * disposes of them, which it does when the handler's invocation is over: that is what is waited for. It never throws.
 */
import { bodyErrorOf, type Delivery } from "../core/message.ts";
import type { Body } from "../core/record.ts";
import { pause, within } from "../platform/clock.ts";
import type { Clock } from "../platform/clock.ts";
import type { Fate, Verdict } from "./classify.ts";

/** A service binding; it answers to any method name, so that only a call tells what it knows. */
export interface QueueWorker {
  queue(batch: Readonly<Record<string, unknown>>): Promise<unknown>;
}

/** A method that was called by then counts; the runtime disposes of a returned handler's within milliseconds. */
const DISPOSED_MS_MAX = 1_000;
const DELAY_SECONDS_MAX = 366 * 24 * 60 * 60;
const ACKED: Fate = { is: "acked" };

export async function callWorker(
  worker: QueueWorker,
  messages: readonly Delivery[],
  { topic, timeoutMs, clock }: { topic: string; timeoutMs: number; clock: Clock },
): Promise<Verdict> {
  const said = new Said(messages.length);
  const batch = batchOf(topic, messages, said);
  const end = await within(clock, timeoutMs, returned(worker, batch));
  if (end !== undefined) await Promise.race([said.disposed, pause(clock, DISPOSED_MS_MAX)]);
  if (end === "returned")
    return { is: "taken", fates: messages.map((_, index) => said.of(index) ?? ACKED) };
  const fates = messages.map((_, index) => said.of(index));
  return { is: "failed", reason: end ?? "timeout", unreachable: false, fates };
}

async function returned(
  worker: QueueWorker,
  batch: Readonly<Record<string, unknown>>,
): Promise<"returned" | "threw"> {
  try {
    await worker.queue(batch);
    return "returned";
  } catch {
    return "threw";
  }
}

/** What the handler said so far. */
class Said {
  readonly disposed: Promise<void>;
  readonly #each: (Fate | undefined)[];
  readonly #release: () => void;
  #all: Fate | undefined;
  #methods = 0;

  constructor(count: number) {
    this.#each = Array.from({ length: count });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.disposed = promise;
    this.#release = resolve;
  }

  of(index: number): Fate | undefined {
    return this.#each[index] ?? this.#all;
  }

  /** A method of the batch, or of one message. */
  method(fateOf: (options: unknown) => Fate, index?: number) {
    this.#methods++;
    const call = (options?: unknown): void => {
      if (index === undefined) this.#all ??= fateOf(options);
      else this.#each[index] ??= fateOf(options);
    };
    const dispose = (): void => {
      if (--this.#methods === 0) this.#release();
    };
    return Object.assign(call, { [Symbol.dispose]: dispose });
  }
}

function batchOf(topic: string, messages: readonly Delivery[], said: Said) {
  return {
    queue: topic,
    messages: messages.map((message, index) => messageOf(message, said, index)),
    ackAll: said.method(() => ACKED),
    retryAll: said.method(retried),
  };
}

/** `id`, `timestamp`, `body` and `attempts` as Cloudflare Queues has them, and what else HalfMQ knows. */
function messageOf(message: Delivery, said: Said, index: number) {
  const { content, id, storedAt, deliveryAttempt, ...rest } = message;
  const { body, delayMs: _1, deliverAt: _2, ttlMs: _3, expiresAt: _4, ...words } = content;
  return {
    ...rest,
    ...words,
    id,
    timestamp: new Date(storedAt),
    attempts: deliveryAttempt,
    ...bodyOf(body),
    ack: said.method(() => ACKED, index),
    retry: said.method(retried, index),
  };
}

function bodyOf(body: Body) {
  if ("json" in body) return { body: JSON.parse(body.json) as unknown, bodyJson: body.json };
  // A message without its body is not delivered; the reference would say nothing to a Worker.
  return "bytes" in body ? { body: body.bytes.slice().buffer } : { bodyError: bodyErrorOf(body) };
}

function retried(options: unknown): Fate {
  const given = typeof options === "object" && options !== null ? options : {};
  const seconds = "delaySeconds" in given ? Number(given.delaySeconds) : Number.NaN;
  if (!(seconds >= 0)) return { is: "nacked", reason: "retried" };
  const delayMs = Math.round(Math.min(seconds, DELAY_SECONDS_MAX) * 1_000);
  return { is: "nacked", reason: "retried", delayMs };
}
