/**
 * Server-Sent Events as an async iterator, taken up again with `Last-Event-ID` when the line breaks. It never keeps more than
 * what came in one piece, and knows nothing of what the events mean.
 */
import { type Clock, pause, reasonOf } from "./clock.ts";
import { LIMITS } from "../protocol/limits.ts";
import { HalfmqError, isRetryable } from "./error.ts";
import type { CallOptions, Http } from "./http.ts";
import { backoffMs } from "./retry.ts";

/** The broker says something every 20 s: a line that is silent for longer than this is dead. */
const SILENCE_MS_MAX = 2 * LIMITS.waitMsMax + 5_000;

/** No event is longer: a message's body is 1 MiB, and Base64 and escapes add to it. */
const EVENT_CHARS_MAX = 16 * 1024 * 1024;

/** One event as it came. */
export interface ServerEvent {
  /** The event's name; "message" when it has none. */
  readonly event: string;
  /** Its text. */
  readonly data: string;
  readonly id: string | undefined;
}

export interface EventStreamOptions extends CallOptions {
  /** Where the first line goes on. */
  readonly lastEventId?: string;
  /** Hears of each break of the line before it is taken up again. Default: nothing. */
  readonly onError?: (error: unknown) => void;
  /** The error that an event is, by which the broker ends a line; a passing one is ridden out. Default: none is. */
  readonly errorOf?: (event: ServerEvent) => HalfmqError | undefined;
}

/**
 * Endless until the loop is left or the signal aborted. An event without text moves only the place where a broken line goes
 * on. Throws what is not passing: `unauthenticated`, `forbidden`, an `unexpected_answer`…
 */
export async function* serverEvents(
  http: Http,
  path: string,
  options: EventStreamOptions = {},
): AsyncGenerator<ServerEvent, void, undefined> {
  let lastId = options.lastEventId;
  const isAborted = (): boolean => options.signal?.aborted === true;
  for (let failures = 0; !isAborted();) {
    try {
      for await (const event of oneLine(http, path, lastId, options.signal)) {
        lastId = event.id ?? lastId;
        if (event.data === "") continue;
        const error = options.errorOf?.(event);
        if (error !== undefined) throw error;
        failures = 0;
        yield event;
      }
    } catch (error) {
      if (isAborted()) return;
      if (!isRetryable(error)) throw error;
      options.onError?.(error);
    }
    failures++;
    const delayMs = backoffMs(http.retry, failures, http.clock.random());
    await pause(http.clock, delayMs, options.signal).catch(() => {});
  }
}

/** An event's text as the JSON that it is. */
export function eventJson({ data }: ServerEvent): unknown {
  try {
    return JSON.parse(data) as unknown;
  } catch (cause) {
    throw unexpected("an event is not JSON", cause);
  }
}

async function* oneLine(
  http: Http,
  path: string,
  lastId: string | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<ServerEvent, void, undefined> {
  const line = new AbortController();
  const onAbort = (): void => line.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    const call = { method: "GET", path, signal: line.signal } as const;
    const opening = http.open(
      lastId === undefined ? call : { ...call, headers: { "last-event-id": lastId } },
      "text/event-stream",
    );
    const response = await unlessSilent(http.clock, line, opening);
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    const next = () => unlessSilent(http.clock, line, read(reader, line.signal));
    for await (const block of blocks(next)) yield parseBlock(block);
  } finally {
    signal?.removeEventListener("abort", onAbort);
    // Leaving the loop hangs up.
    line.abort();
  }
}

/** Ends the line when nothing comes of it for too long. While nobody waits for it, it may be silent. */
async function unlessSilent<T>(
  clock: Clock,
  line: AbortController,
  waited: Promise<T>,
): Promise<T> {
  const cancel = clock.after(SILENCE_MS_MAX, () => {
    const detail = `the stream of events was silent for ${SILENCE_MS_MAX} ms`;
    line.abort(new HalfmqError({ code: "timeout", detail, retryable: true }));
  });
  try {
    return await waited;
  } finally {
    cancel();
  }
}

interface Reader {
  read(): Promise<{ readonly done: boolean; readonly value?: unknown }>;
}

/** The next bytes; undefined at the end. */
async function read(reader: Reader, line: AbortSignal): Promise<Uint8Array | undefined> {
  try {
    const { done, value } = await reader.read();
    return done ? undefined : (value as Uint8Array);
  } catch (cause) {
    if (line.aborted) throw reasonOf(line);
    const detail = "the stream of events broke off";
    throw new HalfmqError({ code: "network_error", detail, retryable: true, cause });
  }
}

/** The texts between empty lines. */
async function* blocks(
  next: () => Promise<Uint8Array | undefined>,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let text = "";
  // A CR at the end may be the first half of a line break.
  let held = "";
  for (;;) {
    const bytes = await next();
    if (bytes === undefined) return;
    const fresh = held + decoder.decode(bytes, { stream: true });
    held = fresh.endsWith("\r") ? "\r" : "";
    const from = Math.max(0, text.length - 1);
    text += fresh.slice(0, fresh.length - held.length).replaceAll("\r\n", "\n");
    for (let end = text.indexOf("\n\n", from); end >= 0; end = text.indexOf("\n\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 2);
    }
    if (text.length > EVENT_CHARS_MAX) throw unexpected("an event has no end");
  }
}

/** Comments alone are an event without text. */
function parseBlock(block: string): ServerEvent {
  let event = "message";
  let id: string | undefined;
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /u, "");
    if (field === "event") event = value;
    else if (field === "id") id = value;
    else if (field === "data") data.push(value);
  }
  return { event, id, data: data.join("\n") };
}

function unexpected(detail: string, cause?: unknown): HalfmqError {
  return new HalfmqError({ code: "unexpected_answer", detail, cause });
}
