/**
 * The receiving end of a push: a function from Request to Response that any fetch-style server can mount. It never hands on
 * what the broker did not sign, and never acks what the handler did not return from.
 */
import { expectArgument, expectArguments } from "./argument.ts";
import { LIMITS } from "../protocol/limits.ts";
import { systemClock } from "./clock.ts";
import type { DeliveredData } from "./message.ts";
import { answer, type FetchHandler, readSigned, refusal } from "./signed-request.ts";

/** A message that was pushed. It is acked by what the handler does, and has no verbs of its own. */
export type PushedMessage<T = unknown> = DeliveredData<T>;

/** What the call as a whole says of its messages. */
export interface PushContext {
  readonly topic: string;
  readonly group: string;
  /** After this many failed deliveries a message is a dead letter. */
  readonly maxAttempts: number;
  /** When the first lease ends, by the broker's clock: what is done later may be done by another, too. */
  readonly deadlineAt: number;
  /** W3C trace context of the first message that has one. */
  readonly traceparent: string | undefined;
  /**
   * Aborted when the broker has hung up, its patience (`push.timeoutMs`) over: then nobody hears what the handler does, and
   * it is done again. Where a server does not say so, it never is.
   */
  readonly signal: AbortSignal;
}

/** Thrown by a handler that knows more than that it failed. */
export class PushRefusal extends Error {
  readonly delayMs: number | undefined;
  readonly retry: boolean | undefined;

  /**
   * `delayMs`: when it comes again, 0 to 366 days; default the group's backoff. `retry` false: straight to the dead letters.
   * Throws a RangeError for another delay: the broker would not take the answer, and fail the whole call.
   */
  constructor(
    reason: string,
    how: { readonly delayMs?: number; readonly retry?: boolean; readonly cause?: unknown } = {},
  ) {
    super(reason, how.cause === undefined ? {} : { cause: how.cause });
    this.name = "PushRefusal";
    const { delayMs } = how;
    if (delayMs !== undefined && !(delayMs >= 0 && delayMs <= LIMITS.delayMsMax))
      throw new RangeError(`delayMs is 0 to ${LIMITS.delayMsMax}`);
    this.delayMs = delayMs === undefined ? undefined : Math.round(delayMs);
    this.retry = how.retry;
  }
}

/** What a push handler needs. */
export interface PushHandlerOptions<T = unknown> {
  /**
   * The group's secret (`whsec_…`), shown when `push.url` was first set or the secret rotated; several while a rotation goes
   * on (24 h). No default: an unsigned handler would take messages from strangers.
   */
  readonly secret: string | readonly string[];
  /**
   * Handles one message: returning acks it, throwing gives it back with the error as the reason (a PushRefusal says more).
   * Those of one call come one after the other, in their order.
   */
  readonly handle: (message: PushedMessage<T>, context: PushContext) => unknown;
  /** Hears of the handler's errors; its own are passed over. Default: nothing. */
  readonly onError?: (error: unknown, message: PushedMessage<T>) => void;
  /** The clock that a signature's age is measured by. Default the machine's. */
  readonly now?: () => number;
}

/** A fetch-style handler. Its `Request` and `Response` are the runtime's own. */
export type PushHandler = FetchHandler;

const REASON_CHARS_MAX = 300;

interface Event<T> {
  readonly type: "messages.delivery";
  readonly data: {
    readonly topic: string;
    readonly group: string;
    readonly messages: readonly PushedMessage<T>[];
  };
}

interface Result {
  readonly receipt: string;
  readonly ok: boolean;
  /** False: nobody looked at it, so that it costs no attempt. */
  readonly handled?: false;
  readonly reason?: string;
  readonly delayMs?: number;
  readonly retry?: boolean;
}

/**
 * Makes the handler. It answers 200 with `{"results": [...]}`, one for each message; 401 for a missing, wrong or old signature;
 * 400 for what is not a delivery; 405 for another method; 413 for more than 16 MiB. Behind a message that failed, those of
 * its `messageGroup` are given back unhandled and uncounted, so that order is kept; so is what was not begun when the broker hung up.
 */
export function pushHandler<T = unknown>(options: PushHandlerOptions<T>): PushHandler {
  expectArgument("options", options, "object");
  const { secret, now = systemClock.now } = options;
  expectArguments({ secret: [secret, "secret"], handle: [options.handle, "function"] });
  return async (request) => {
    const read = await readSigned(request, { secret, nowMs: now() });
    if (!read.ok) return read.response;
    const event = parseEvent<T>(read.body);
    if (event === undefined) return refusal(400, "not a messages.delivery");
    const { topic, group, messages } = event.data;
    const { headers, signal } = request;
    const context: PushContext = {
      topic,
      group,
      maxAttempts: Number(headers.get("halfmq-max-attempts")),
      deadlineAt: Number(headers.get("halfmq-deadline")),
      traceparent: headers.get("traceparent") ?? undefined,
      signal,
    };
    return answer(200, { results: await handleAll(options, messages, context) });
  };
}

/** One after the other. Never rejects. */
async function handleAll<T>(
  options: PushHandlerOptions<T>,
  messages: readonly PushedMessage<T>[],
  context: PushContext,
): Promise<Result[]> {
  const failedGroups = new Set<string>();
  const results: Result[] = [];
  for (const message of messages) {
    const { receipt, messageGroup } = message;
    const why = context.signal.aborted
      ? "the broker hung up before it began"
      : messageGroup !== undefined && failedGroups.has(messageGroup)
        ? "one before it in its message group failed"
        : undefined;
    const result =
      why === undefined
        ? await handleOne(options, message, context)
        : { receipt, ok: false, handled: false as const, reason: why };
    if (!result.ok && messageGroup !== undefined) failedGroups.add(messageGroup);
    results.push(result);
  }
  return results;
}

async function handleOne<T>(
  { handle, onError }: PushHandlerOptions<T>,
  message: PushedMessage<T>,
  context: PushContext,
): Promise<Result> {
  const { receipt } = message;
  try {
    await handle(message, context);
    return { receipt, ok: true };
  } catch (error) {
    try {
      onError?.(error, message);
    } catch {
      // A listener's own error says nothing of the other messages.
    }
    return resultOf(receipt, error);
  }
}

function resultOf(receipt: string, error: unknown): Result {
  const text = error instanceof Error ? error.message : String(error);
  const reason = text.slice(0, REASON_CHARS_MAX).toWellFormed() || "the handler failed";
  if (!(error instanceof PushRefusal)) return { receipt, ok: false, reason };
  const { delayMs, retry } = error;
  return {
    receipt,
    ok: false,
    reason,
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(retry === undefined ? {} : { retry }),
  };
}

function parseEvent<T>(body: string): Event<T> | undefined {
  try {
    const event = JSON.parse(body) as Partial<Event<T>>;
    const isDelivery = event.type === "messages.delivery" && Array.isArray(event.data?.messages);
    return isDelivery ? (event as Event<T>) : undefined;
  } catch {
    return undefined;
  }
}
