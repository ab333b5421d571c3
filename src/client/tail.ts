/** The tail of a topic as an async iterator, taken up again where it was when the line breaks. It settles nothing. */
import { expectArgument } from "./argument.ts";
import { HalfmqError, type HalfmqErrorParts } from "./error.ts";
import { eventJson, type ServerEvent, serverEvents } from "./event-stream.ts";
import type { CallOptions, Http } from "./http.ts";
import type { MessageData } from "./message.ts";
import { path, query } from "./path.ts";

/** How a topic is followed. */
export interface TailOptions extends CallOptions {
  /** Where it begins: now, with the oldest, or with what was stored since an instant (epoch ms). Default "latest". */
  readonly from?: "latest" | "earliest" | number;
  /** A `place` of an earlier tail: goes on behind it; wins over `from`. */
  readonly place?: string;
  /** Hears of messages that retention took before the tail got to them. Default: nothing. */
  readonly onGap?: (gap: TailGap) => void;
  /** Hears of each break of the line before it is taken up again. Default: nothing. */
  readonly onError?: (error: unknown) => void;
}

/** Messages that a tail did not see: so many from this offset of the queue on. */
export interface TailGap {
  readonly queue: number;
  readonly offset: number;
  readonly count: number;
}

/** A message that was met, and the place behind it in all queues. */
export interface TailedMessage<T = unknown> {
  readonly message: MessageData<T>;
  /** Keep it to go on from here another time. */
  readonly place: string;
}

/**
 * Endless until the loop is left or the signal aborted. Throws `topic_not_found` when the topic is or gets deleted, and what
 * else is not passing: `unauthenticated`, `forbidden`…
 */
export async function* tail<T>(
  http: Http,
  topic: string,
  options: TailOptions = {},
): AsyncGenerator<TailedMessage<T>, void, undefined> {
  expectArgument("options", options, "object");
  const { from = "latest", place: start, onGap, signal, onError } = options;
  const events = serverEvents(http, path`/v1/topics/${topic}/tail` + query({ from }), {
    ...(start === undefined ? {} : { lastEventId: start }),
    ...(signal === undefined ? {} : { signal }),
    ...(onError === undefined ? {} : { onError }),
    errorOf: endOf,
  });
  for await (const each of events) {
    const { event, id: place = "" } = each;
    if (event === "gap") onGap?.(eventJson(each) as TailGap);
    if (event === "message") yield { message: eventJson(each) as MessageData<T>, place };
  }
}

function endOf(event: ServerEvent): HalfmqError | undefined {
  if (event.event !== "end") return undefined;
  const { code, detail, status, retryable } = eventJson(event) as Required<HalfmqErrorParts>;
  return new HalfmqError({ code, detail, status, retryable });
}
